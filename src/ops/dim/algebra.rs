//! Sizes computed from sizes, in normal form.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Atom, Dim, DimError, Terms};

impl Dim {
    /// The sum.
    ///
    /// # Errors
    /// [`DimError::Overflow`].
    pub fn add(&self, other: &Self) -> Result<Self, DimError> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return a.checked_add(*b).map(Self::Known).ok_or(DimError::Overflow);
        }
        if let (size, Self::Known(0)) | (Self::Known(0), size) = (self, other) {
            return Ok(size.clone());
        }
        let mut terms = self.terms().into_owned();
        for (product, factor) in other.terms().iter() {
            let sum = terms.entry(product.clone()).or_insert(0);
            *sum = sum.checked_add(*factor).ok_or(DimError::Overflow)?;
        }
        Ok(Self::from_terms(terms))
    }

    /// The difference.
    ///
    /// # Errors
    /// [`DimError::Overflow`].
    pub fn sub(&self, other: &Self) -> Result<Self, DimError> {
        self.add(&other.mul(&Self::Known(-1))?)
    }

    /// The product.
    ///
    /// # Errors
    /// [`DimError::Overflow`].
    pub fn mul(&self, other: &Self) -> Result<Self, DimError> {
        if let (Self::Known(a), Self::Known(b)) = (self, other) {
            return a.checked_mul(*b).map(Self::Known).ok_or(DimError::Overflow);
        }
        if let (size, Self::Known(1)) | (Self::Known(1), size) = (self, other) {
            return Ok(size.clone());
        }
        let mut terms = Terms::new();
        let factors = other.terms();
        for (left, a) in self.terms().iter() {
            for (right, b) in factors.iter() {
                let mut product: Vec<Atom> = left.iter().chain(right).cloned().collect();
                product.sort();
                let factor = a.checked_mul(*b).ok_or(DimError::Overflow)?;
                let sum = terms.entry(product).or_insert(0);
                *sum = sum.checked_add(factor).ok_or(DimError::Overflow)?;
            }
        }
        Ok(Self::from_terms(terms))
    }

    /// The quotient, rounded down. Multiples of a known divisor leave the division.
    ///
    /// # Errors
    /// [`DimError::ZeroDivision`], [`DimError::Overflow`].
    pub fn floor_div(&self, other: &Self) -> Result<Self, DimError> {
        match (self, other) {
            (_, Self::Known(0)) => Err(DimError::ZeroDivision),
            (Self::Known(a), Self::Known(b)) => Ok(Self::Known(floor_div(*a, *b))),
            (_, Self::Known(1)) => Ok(self.clone()),
            (_, Self::Known(divisor)) if *divisor > 0 => {
                let (multiple, rest) = self.split_multiple(*divisor);
                let rest = match rest {
                    Self::Known(value) => Self::Known(floor_div(value, *divisor)),
                    rest @ Self::Sum(_) => Self::atom(Atom::FloorDiv(rest, other.clone())),
                };
                multiple.add(&rest)
            }
            _ if self == other => Ok(Self::Known(1)),
            _ => match self.divided_by(other) {
                Some(quotient) => Ok(quotient),
                None => Ok(Self::atom(Atom::FloorDiv(self.clone(), other.clone()))),
            },
        }
    }

    /// The remainder, with the sign of the divisor as in Python.
    ///
    /// # Errors
    /// [`DimError::ZeroDivision`], [`DimError::Overflow`].
    pub fn remainder(&self, other: &Self) -> Result<Self, DimError> {
        match (self, other) {
            (_, Self::Known(0)) => Err(DimError::ZeroDivision),
            (Self::Known(a), Self::Known(b)) => Ok(Self::Known(python_rem(*a, *b))),
            (_, Self::Known(divisor)) if *divisor > 0 => match self.split_multiple(*divisor).1 {
                Self::Known(value) => Self::Known(value).remainder(other),
                rest @ Self::Sum(_) => Ok(Self::atom(Atom::Remainder(rest, other.clone()))),
            },
            _ => Ok(Self::atom(Atom::Remainder(self.clone(), other.clone()))),
        }
    }

    /// The smaller of the two.
    #[must_use]
    pub fn smaller(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => Self::Known(*a.min(b)),
            _ if self == other => self.clone(),
            _ if self < other => Self::atom(Atom::Min(self.clone(), other.clone())),
            _ => Self::atom(Atom::Min(other.clone(), self.clone())),
        }
    }

    /// The larger of the two.
    #[must_use]
    pub fn larger(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => Self::Known(*a.max(b)),
            _ if self == other => self.clone(),
            _ if self < other => Self::atom(Atom::Max(self.clone(), other.clone())),
            _ => Self::atom(Atom::Max(other.clone(), self.clone())),
        }
    }

    pub(super) fn atom(atom: Atom) -> Self {
        Self::Sum(Arc::new(Terms::from([(vec![atom], 1)])))
    }

    fn terms(&self) -> Cow<'_, Terms> {
        match self {
            Self::Known(0) => Cow::default(),
            Self::Known(value) => Cow::Owned(Terms::from([(Vec::new(), *value)])),
            Self::Sum(terms) => Cow::Borrowed(terms),
        }
    }

    fn from_terms(mut terms: Terms) -> Self {
        terms.retain(|_, factor| *factor != 0);
        match terms.len() {
            0 => Self::Known(0),
            1 if terms.contains_key(&Vec::new()) => Self::Known(terms[&Vec::new()]),
            _ => Self::Sum(Arc::new(terms)),
        }
    }

    /// Writes the size as `divisor * multiple + rest`, as much of it as is plainly divisible.
    fn split_multiple(&self, divisor: i64) -> (Self, Self) {
        let (mut multiple, mut rest) = (Terms::new(), Terms::new());
        for (product, factor) in self.terms().iter() {
            let whole = floor_div(*factor, divisor);
            let left = factor - divisor * whole;
            if product.is_empty() || left == 0 {
                multiple.insert(product.clone(), whole);
                rest.insert(product.clone(), left);
            } else {
                rest.insert(product.clone(), *factor);
            }
        }
        (Self::from_terms(multiple), Self::from_terms(rest))
    }

    /// The exact quotient by a single product, if every term holds it.
    fn divided_by(&self, other: &Self) -> Option<Self> {
        let Self::Sum(divisor) = other else { return None };
        let (product, factor) = divisor.iter().next().filter(|_| divisor.len() == 1)?;
        let mut quotient = Terms::new();
        for (left, value) in self.terms().iter() {
            let mut left = left.clone();
            for atom in product {
                let at = left.iter().position(|found| found == atom)?;
                left.remove(at);
            }
            if value % factor != 0 {
                return None;
            }
            quotient.insert(left, value / factor);
        }
        Some(Self::from_terms(quotient))
    }
}

/// Division rounded towards minus infinity, as Python's `//`.
#[must_use]
pub fn floor_div(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
}

/// The remainder with the sign of the divisor, as Python's `%`.
#[must_use]
pub fn python_rem(a: i64, b: i64) -> i64 {
    a.wrapping_sub(b.wrapping_mul(floor_div(a, b)))
}
