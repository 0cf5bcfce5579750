//! Sizes as people write them.

use std::fmt;

use super::{Atom, Dim, Symbol};

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = match self {
            Self::Known(value) => return write!(f, "{value}"),
            Self::Sum(terms) => terms,
        };
        // The constant comes last, as one writes it.
        let constant = terms.iter().filter(|(product, _)| product.is_empty());
        let products = terms.iter().filter(|(product, _)| !product.is_empty());
        for (index, (product, factor)) in products.chain(constant).enumerate() {
            match (index, *factor < 0) {
                (0, true) => write!(f, "-")?,
                (0, false) => {}
                (_, true) => write!(f, " - ")?,
                (_, false) => write!(f, " + ")?,
            }
            let size = factor.unsigned_abs();
            if product.is_empty() || size != 1 {
                write!(f, "{size}")?;
            }
            for (at, atom) in product.iter().enumerate() {
                if at > 0 || size != 1 {
                    write!(f, "*")?;
                }
                write!(f, "{atom:?}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(symbol) => write!(f, "{}", symbol.name),
            Self::FloorDiv(a, b) => write!(f, "(({a})//({b}))"),
            Self::Remainder(a, b) => write!(f, "(({a})%({b}))"),
            Self::Min(a, b) => write!(f, "min({a}, {b})"),
            Self::Max(a, b) => write!(f, "max({a}, {b})"),
        }
    }
}
