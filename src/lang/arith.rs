//! Arithmetic and comparison of values known while tracing, with Python's meaning.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::{BinaryOp, CompareOp};
use super::value::Value;
use crate::ops::dim::{Relation, floor_div, python_rem};
use crate::ops::{Const, Dim, Fault};

/// Lists, strings and powers may not grow beyond this.
const MAX_LENGTH: usize = 10_000_000;

/// The value of an operator on two values without tensors.
pub(super) fn binary(op: BinaryOp, left: &Value, right: &Value) -> Result<Value, Fault> {
    match (left, right) {
        (Value::Const(a), Value::Const(b)) => constants(op, a, b).map(Value::Const),
        (Value::Dim(_), _) | (_, Value::Dim(_)) => sizes(op, left, right),
        (Value::List(a), Value::List(b)) if op == BinaryOp::Add => {
            Ok(Value::list(a.iter().chain(b.iter()).cloned().collect()))
        }
        (Value::List(items), Value::Const(Const::Int(count))) if op == BinaryOp::Mul => {
            let count = usize::try_from((*count).max(0)).unwrap_or(usize::MAX);
            if items.len().saturating_mul(count) > MAX_LENGTH {
                return Err(Fault::value(format!("a list repeated {count} times is too long")));
            }
            Ok(Value::list(std::iter::repeat_n(items.iter(), count).flatten().cloned().collect()))
        }
        (Value::Dict(a), Value::Dict(b)) if op == BinaryOp::BitOr => {
            let mut entries: Vec<_> = a.to_vec();
            for (key, value) in b.iter() {
                match entries.iter_mut().find(|(name, _)| name == key) {
                    Some(entry) => entry.1 = value.clone(),
                    None => entries.push((key.clone(), value.clone())),
                }
            }
            Ok(Value::Dict(Rc::new(entries)))
        }
        _ => Err(wrong(op, left, right)),
    }
}

fn wrong(op: BinaryOp, left: &Value, right: &Value) -> Fault {
    let message = format!("`{}` between {} and {}", op.symbol(), left.describe(), right.describe());
    Fault::new("wrong-kind", message)
}

fn sizes(op: BinaryOp, left: &Value, right: &Value) -> Result<Value, Fault> {
    let (Some(a), Some(b)) = (left.as_dim(), right.as_dim()) else { return Err(wrong(op, left, right)) };
    let result: Result<Dim, _> = match op {
        BinaryOp::Add => a.add(&b),
        BinaryOp::Sub => a.sub(&b),
        BinaryOp::Mul => a.mul(&b),
        BinaryOp::FloorDiv => a.floor_div(&b),
        BinaryOp::Mod => a.remainder(&b),
        _ => return Err(wrong(op, left, right)),
    };
    Ok(Value::size(result?))
}

fn constants(op: BinaryOp, left: &Const, right: &Const) -> Result<Const, Fault> {
    let refused = || wrong(op, &Value::Const(left.clone()), &Value::Const(right.clone()));
    if let (Const::Str(a), Const::Str(b), BinaryOp::Add) = (left, right, op) {
        return Ok(Const::str(&format!("{a}{b}")));
    }
    if let (Some(a), Some(b)) = (whole(left), whole(right)) {
        return integers(op, a, b).ok_or_else(|| match op {
            BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod if b == 0 => {
                Fault::value("a division by zero")
            }
            BinaryOp::MatMul => refused(),
            _ => Fault::value(format!("`{a} {} {b}` does not fit 64 bits", op.symbol())),
        });
    }
    let (Some(a), Some(b)) = (left.as_f64(), right.as_f64()) else { return Err(refused()) };
    let value = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod if b == 0.0 => {
            return Err(Fault::value("a division by zero"));
        }
        BinaryOp::Div => a / b,
        BinaryOp::FloorDiv => (a / b).floor(),
        BinaryOp::Mod => a - b * (a / b).floor(),
        BinaryOp::Pow => a.powf(b),
        BinaryOp::MatMul | BinaryOp::BitOr | BinaryOp::BitAnd | BinaryOp::BitXor => return Err(refused()),
    };
    Ok(Const::Float(value))
}

/// Whole numbers and truth values, which count as 0 and 1 as in Python.
fn whole(value: &Const) -> Option<i64> {
    match value {
        Const::Int(value) => Some(*value),
        Const::Bool(value) => Some(i64::from(*value)),
        _ => None,
    }
}

fn integers(op: BinaryOp, a: i64, b: i64) -> Option<Const> {
    let value = match op {
        BinaryOp::Add => a.checked_add(b)?,
        BinaryOp::Sub => a.checked_sub(b)?,
        BinaryOp::Mul => a.checked_mul(b)?,
        #[expect(clippy::cast_precision_loss, reason = "as Python's true division")]
        BinaryOp::Div => return (b != 0).then(|| Const::Float(a as f64 / b as f64)),
        BinaryOp::FloorDiv if b != 0 => floor_div(a, b),
        BinaryOp::Mod if b != 0 => python_rem(a, b),
        #[expect(clippy::cast_precision_loss, reason = "as Python's negative powers")]
        BinaryOp::Pow if b < 0 => return Some(Const::Float((a as f64).powf(b as f64))),
        BinaryOp::Pow => a.checked_pow(u32::try_from(b).ok()?)?,
        BinaryOp::BitOr => a | b,
        BinaryOp::BitAnd => a & b,
        BinaryOp::BitXor => a ^ b,
        BinaryOp::FloorDiv | BinaryOp::Mod | BinaryOp::MatMul => return None,
    };
    Some(Const::Int(value))
}

/// Whether a comparison of two values without tensors holds.
pub(super) fn compare(op: CompareOp, left: &Value, right: &Value) -> Result<bool, Fault> {
    match op {
        CompareOp::Is | CompareOp::Eq => equal(left, right),
        CompareOp::IsNot | CompareOp::Ne => equal(left, right).map(|same| !same),
        CompareOp::In => contains(left, right),
        CompareOp::NotIn => contains(left, right).map(|found| !found),
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
            let order = order(left, right)?;
            Ok(match op {
                CompareOp::Lt => order == Some(Ordering::Less),
                CompareOp::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                CompareOp::Gt => order == Some(Ordering::Greater),
                _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            })
        }
    }
}

fn equal(left: &Value, right: &Value) -> Result<bool, Fault> {
    Ok(match (left, right) {
        (Value::Dim(_), _) | (_, Value::Dim(_)) => {
            let (Some(a), Some(b)) = (left.as_dim(), right.as_dim()) else { return Ok(false) };
            match a.relation(&b) {
                Relation::Equal => true,
                Relation::Different => false,
                Relation::Undecided => return Err(undecided(&a, &b)),
            }
        }
        (Value::Const(a), Value::Const(b)) => match (a.as_f64(), b.as_f64()) {
            #[expect(clippy::float_cmp, reason = "exact, as Python compares")]
            (Some(a), Some(b)) => a == b,
            _ => match (whole(a), whole(b)) {
                (Some(a), Some(b)) => a == b,
                _ => a == b,
            },
        },
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(a, b)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Layer(a), Value::Layer(b)) => Rc::ptr_eq(a, b),
        _ => match (left.as_const(), right.as_const()) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    })
}

fn undecided(left: &Dim, right: &Dim) -> Fault {
    let message = format!("comparing `{left}` with `{right}`, known only when the model is called");
    Fault::new("branch-on-size", message)
        .help("decide by config values; sizes of an input cannot choose what a definition does")
}

fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Fault> {
    if let (Some(a), Some(b)) = (left.as_dim(), right.as_dim()) {
        return match a.sub(&b)?.known() {
            Some(difference) => Ok(Some(difference.cmp(&0))),
            None => Err(undecided(&a, &b)),
        };
    }
    if let (Value::Const(a), Value::Const(b)) = (left, right) {
        match (a, b) {
            (Const::Str(a), Const::Str(b)) => return Ok(Some(a.cmp(b))),
            _ => {
                if let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) {
                    return Ok(a.partial_cmp(&b));
                }
            }
        }
    }
    Err(Fault::new(
        "wrong-kind",
        format!("{} cannot be ordered against {}", left.describe(), right.describe()),
    ))
}

fn contains(item: &Value, container: &Value) -> Result<bool, Fault> {
    match container {
        Value::List(items) => {
            for candidate in items.iter() {
                if equal(item, candidate)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Dict(entries) => {
            Ok(matches!(item, Value::Const(Const::Str(key)) if entries.iter().any(|(name, _)| name == key)))
        }
        Value::Config(config) => {
            Ok(matches!(item, Value::Const(Const::Str(key)) if config.json().get(&**key).is_some()))
        }
        Value::Const(Const::Str(text)) => match item {
            Value::Const(Const::Str(part)) => Ok(text.contains(&**part)),
            _ => Err(Fault::new("wrong-kind", format!("{} in a string", item.describe()))),
        },
        other => Err(Fault::new(
            "wrong-kind",
            format!("`in` {}, expected a list, a dict or a string", other.describe()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: &Value) -> Option<i64> {
        match value {
            Value::Const(Const::Int(value)) => Some(*value),
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn integer_arithmetic_is_pythons(a in -1000i64..1000, b in -1000i64..1000) {
            let run = |op| binary(op, &Value::int(a), &Value::int(b)).ok().as_ref().and_then(number);
            prop_assert_eq!(run(BinaryOp::Add), Some(a + b));
            if b == 0 {
                prop_assert_eq!(run(BinaryOp::FloorDiv), None);
            } else {
                let (quotient, rest) = (run(BinaryOp::FloorDiv), run(BinaryOp::Mod));
                prop_assert_eq!(quotient.zip(rest).map(|(q, r)| q * b + r), Some(a));
                prop_assert!(rest.is_some_and(|r| r == 0 || (r < 0) == (b < 0)));
            }
        }

        #[test]
        fn no_operands_panic(a in any::<i64>(), b in any::<i64>(), x in any::<f64>()) {
            use BinaryOp::{Add, Div, FloorDiv, MatMul, Mod, Mul, Pow, Sub};
            let float = Value::Const(Const::Float(x));
            for op in [Add, Sub, Mul, Div, FloorDiv, Mod, Pow, MatMul] {
                let _ = binary(op, &Value::int(a), &Value::int(b));
                let _ = binary(op, &float, &Value::int(b));
            }
        }
    }
}
