//! Sizes that may be known only when the model is called.
//!
//! A [`Dim`] is a number, or an integer polynomial over symbols (batch, time, height, width) whose atoms may
//! also be floor divisions, remainders, minima and maxima. It is kept in a normal form, so that equal sizes
//! that were computed differently usually compare equal; where two forms cannot be decided, the tracer asks
//! the running program instead ([`Dim::relation`]).
//!
//! Absent on purpose: values of tensors. A size never depends on them.

mod algebra;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use algebra::{floor_div, python_rem};

/// A size fixed only by the inputs of a call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    /// The position of its value in a call's table of sizes.
    pub index: usize,
    /// The name shown in shapes.
    pub name: Arc<str>,
}

/// A size: a number, or an expression over symbols.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dim {
    /// A number known while tracing.
    Known(i64),
    /// A sum of products of symbols; never a plain number.
    Sum(Arc<Terms>),
}

/// Products of atoms (sorted, repeated for powers) with their integer factors; the empty product is the
/// constant.
pub type Terms = BTreeMap<Vec<Atom>, i64>;

/// A factor of a product.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// A symbol itself.
    Symbol(Symbol),
    /// `floor(left / right)`.
    FloorDiv(Dim, Dim),
    /// `left - right * floor(left / right)`.
    Remainder(Dim, Dim),
    /// The smaller of the two.
    Min(Dim, Dim),
    /// The larger of the two.
    Max(Dim, Dim),
}

/// What is known of two sizes before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same for every call.
    Equal,
    /// They differ for every call.
    Different,
    /// Only the call can tell.
    Undecided,
}

/// Why a size cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DimError {
    /// The number does not fit 64 bits.
    #[error("the size overflows 64 bits")]
    Overflow,
    /// A division by zero.
    #[error("a size is divided by zero")]
    ZeroDivision,
}

impl Dim {
    /// The size that is a symbol alone.
    #[must_use]
    pub fn symbol(symbol: Symbol) -> Self {
        Self::atom(Atom::Symbol(symbol))
    }

    /// The number, if it is known while tracing.
    #[must_use]
    pub fn known(&self) -> Option<i64> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Sum(_) => None,
        }
    }

    /// The symbol, if the size is one and nothing else.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&Symbol> {
        let Self::Sum(terms) = self else { return None };
        match terms.iter().next() {
            Some((product, 1)) if terms.len() == 1 => match product.as_slice() {
                [Atom::Symbol(symbol)] => Some(symbol),
                _ => None,
            },
            _ => None,
        }
    }

    /// Every symbol that the size depends on.
    #[must_use]
    pub fn symbols(&self) -> BTreeSet<Symbol> {
        let mut found = BTreeSet::new();
        self.collect_symbols(&mut found);
        found
    }

    fn collect_symbols(&self, found: &mut BTreeSet<Symbol>) {
        let Self::Sum(terms) = self else { return };
        for atom in terms.keys().flatten() {
            match atom {
                Atom::Symbol(symbol) => {
                    found.insert(symbol.clone());
                }
                Atom::FloorDiv(a, b) | Atom::Remainder(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                    a.collect_symbols(found);
                    b.collect_symbols(found);
                }
            }
        }
    }

    /// What can be said of the two before a call.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        if self == other {
            return Relation::Equal;
        }
        match self.sub(other) {
            Ok(Self::Known(_)) => Relation::Different,
            _ => Relation::Undecided,
        }
    }

    /// The number for one call, given the values of the symbols by their index.
    ///
    /// # Errors
    /// [`DimError`]; a symbol outside the table counts as overflow.
    pub fn eval(&self, symbols: &[i64]) -> Result<i64, DimError> {
        let terms = match self {
            Self::Known(value) => return Ok(*value),
            Self::Sum(terms) => terms,
        };
        let mut sum = 0i64;
        for (product, factor) in terms.iter() {
            let mut value = *factor;
            for atom in product {
                value = value.checked_mul(atom.eval(symbols)?).ok_or(DimError::Overflow)?;
            }
            sum = sum.checked_add(value).ok_or(DimError::Overflow)?;
        }
        Ok(sum)
    }
}

impl Atom {
    fn eval(&self, symbols: &[i64]) -> Result<i64, DimError> {
        Ok(match self {
            Self::Symbol(symbol) => *symbols.get(symbol.index).ok_or(DimError::Overflow)?,
            Self::FloorDiv(a, b) => match (a.eval(symbols)?, b.eval(symbols)?) {
                (_, 0) => return Err(DimError::ZeroDivision),
                (a, b) => floor_div(a, b),
            },
            Self::Remainder(a, b) => match (a.eval(symbols)?, b.eval(symbols)?) {
                (_, 0) => return Err(DimError::ZeroDivision),
                (a, b) => python_rem(a, b),
            },
            Self::Min(a, b) => a.eval(symbols)?.min(b.eval(symbols)?),
            Self::Max(a, b) => a.eval(symbols)?.max(b.eval(symbols)?),
        })
    }
}

impl From<i64> for Dim {
    fn from(value: i64) -> Self {
        Self::Known(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbols() -> [Dim; 2] {
        [("time", 0), ("height", 1)].map(|(name, index)| Dim::symbol(Symbol { index, name: Arc::from(name) }))
    }

    #[test]
    fn sizes_computed_differently_compare_equal() -> Result<(), DimError> {
        let [time, height] = symbols();
        let left = time.add(&height)?.mul(&Dim::Known(4))?;
        let right = height.mul(&Dim::Known(4))?.add(&time.mul(&Dim::Known(4))?)?;
        assert_eq!(left, right);
        assert_eq!(left.floor_div(&Dim::Known(4))?, time.add(&height)?);
        assert_eq!(time.mul(&height)?.floor_div(&height)?, time);
        assert_eq!(left.to_string(), "4*time + 4*height");
        assert_eq!(time.sub(&Dim::Known(3))?.floor_div(&Dim::Known(2))?.to_string(), "((time + 1)//(2)) - 2");
        Ok(())
    }

    #[test]
    fn a_relation_is_only_claimed_where_it_holds() -> Result<(), DimError> {
        let [time, height] = symbols();
        assert_eq!(time.relation(&time), Relation::Equal);
        assert_eq!(time.relation(&time.add(&Dim::Known(1))?), Relation::Different);
        assert_eq!(time.relation(&height), Relation::Undecided);
        assert_eq!(time.relation(&Dim::Known(7)), Relation::Undecided);
        Ok(())
    }

    proptest! {
        #[test]
        fn the_normal_form_keeps_the_value(
            a in -50i64..50, b in 1i64..9, c in -9i64..9, time in 1i64..40, height in 1i64..40,
        ) {
            let [t, h] = symbols();
            let value = |dim: Result<Dim, DimError>| dim.and_then(|dim| dim.eval(&[time, height]));
            let k = Dim::Known;
            let linear = t.mul(&k(a)).and_then(|x| x.add(&h.mul(&k(c))?)).and_then(|x| x.add(&k(c)));
            let expected = time * a + height * c + c;
            prop_assert_eq!(value(linear.clone()), Ok(expected));
            let linear = linear.expect("small numbers do not overflow");
            prop_assert_eq!(value(linear.floor_div(&k(b))), Ok(floor_div(expected, b)));
            prop_assert_eq!(value(linear.remainder(&k(b))), Ok(expected.rem_euclid(b)));
            prop_assert_eq!(value(linear.floor_div(&t)), Ok(floor_div(expected, time)));
            prop_assert_eq!(value(Ok(linear.smaller(&h))), Ok(expected.min(height)));
            prop_assert_eq!(value(Ok(linear.larger(&h))), Ok(expected.max(height)));
        }
    }
}
