//! Products of two tensors by named axes: `einsum("bhid,bhjd->bhij", q, k)`.
//!
//! In: a pattern of letters, or of words separated by spaces, with `...` for axes in front. Out: what the pattern
//! says. The product is one batched matrix product, with sums over axes of one side before it.
//!
//! Absent on purpose: an axis twice in one operand (diagonals), more than two operands.

use burn::tensor::ops::FloatTensorOps;

use super::Op;
use super::backend::B;
use super::call::{Arg, Call, Fault, Traced};
use super::dim::Dim;
use super::function::kernel;
use super::kernel::Context;
use super::operand::unified;
use super::reduce::{drop_axes, sum};
use super::types::{Const, Kind, TensorType};
use super::value::Value;

pub(super) const OPS: &[Op] = &[Op {
    name: "einsum",
    signature: "pattern, a, b=None",
    summary: "the sum of products over the named axes that the pattern's right side leaves out",
    trace: einsum,
}];

/// The axes of one operand or of the result, by name.
type Labels = Vec<String>;

/// What stands in a pattern's names for axes that `...` covers; never written by people.
fn hidden(from_the_end: usize) -> String {
    format!("…{from_the_end}")
}

/// The names of one term.
fn labels(term: &str, by_words: bool) -> Labels {
    if by_words {
        return term.split_whitespace().map(str::to_owned).collect();
    }
    let mut found = Vec::new();
    let mut rest = term.trim();
    while let Some(first) = rest.chars().next() {
        let label = if rest.starts_with("...") { "..." } else { &rest[..first.len_utf8()] };
        found.push(label.to_owned());
        rest = &rest[label.len()..];
    }
    found
}

fn bad(message: impl Into<String>) -> Fault {
    Fault::value(message).of("pattern")
}

/// The names of the operands' axes, and of the result's.
fn parse(pattern: &str, operands: usize) -> Result<(Vec<Labels>, Labels), Fault> {
    let Some((left, right)) = pattern.split_once("->") else {
        return Err(bad(format!("`{pattern}` has no `->`"))
            .help("write what the result's axes are, as in `ij,jk->ik`"));
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != operands {
        return Err(bad(format!("`{left}` names {} operands, expected {operands}", terms.len())));
    }
    let by_words = terms.iter().copied().chain([right]).any(|term| term.trim().contains(' '));
    let inputs: Vec<Labels> = terms.into_iter().map(|term| labels(term, by_words)).collect();
    let output = labels(right, by_words);
    for names in inputs.iter().chain([&output]) {
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(bad(format!("the axis `{name}` stands twice in one term of `{pattern}`")));
            }
            let is_name =
                name == "..." || name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
            if !is_name {
                return Err(bad(format!("`{name}` in `{pattern}` is no name of an axis")));
            }
        }
    }
    if let Some(name) = output.iter().find(|name| !inputs.iter().flatten().any(|known| known == *name)) {
        return Err(bad(format!("the axis `{name}` stands on the right of `{pattern}` only")));
    }
    Ok((inputs, output))
}

/// Names for the axes of an operand, `...` replaced by as many hidden ones as are left.
fn spread(names: &[String], ty: &TensorType, parameter: &'static str) -> Result<Labels, Fault> {
    let written = names.iter().filter(|name| *name != "...").count();
    let dots = written != names.len();
    let left = ty.rank().checked_sub(written).filter(|left| dots || *left == 0);
    let Some(left) = left else {
        let text = names.join(" ");
        return Err(Fault::shape(format!("`{text}` names {written} axes of `{ty}`, expected {}", ty.rank()))
            .of(parameter));
    };
    let covered = (0..left).rev().map(hidden).collect::<Vec<_>>();
    Ok(names
        .iter()
        .flat_map(|name| if name == "..." { covered.clone() } else { vec![name.clone()] })
        .collect())
}

/// What to do with one operand: sum axes away, then order the rest into three groups.
#[derive(Debug)]
struct Side {
    summed: Vec<usize>,
    order: Vec<usize>,
}

/// The whole contraction.
#[derive(Debug)]
struct Plan {
    a: Side,
    b: Option<Side>,
    /// How many axes both sides and the result share, only a and the result, both but not the result, only b and the
    /// result.
    counts: [usize; 4],
    /// The result's axes in the order batch, left, right.
    output: Vec<usize>,
}

fn positions(labels: &[String], wanted: &[&String]) -> Vec<usize> {
    wanted.iter().filter_map(|name| labels.iter().position(|label| label == *name)).collect()
}

/// Sums away the axes that only this side has; gives the names that are left.
fn side(labels: &[String], groups: [&[&String]; 3]) -> Side {
    let kept: Vec<&String> = groups.concat();
    let summed = (0..labels.len()).filter(|index| !kept.contains(&&labels[*index])).collect();
    let left: Vec<String> = labels.iter().filter(|label| kept.contains(label)).cloned().collect();
    Side { summed, order: positions(&left, &kept) }
}

fn plan(a: &[String], b: Option<&[String]>, output: &[String]) -> Plan {
    let none: &[String] = &[];
    let other = b.unwrap_or(none);
    let pick = |from: &'_ [String], in_other: bool, in_output: bool, other: &[String]| -> Vec<String> {
        from.iter()
            .filter(|l| other.contains(l) == in_other && output.contains(l) == in_output)
            .cloned()
            .collect()
    };
    let batch = pick(a, true, true, other);
    let left = pick(a, false, true, other);
    let inner = pick(a, true, false, other);
    let right = pick(other, false, true, a);
    let [batch_names, left_names, inner_names, right_names] =
        [&batch, &left, &inner, &right].map(|names| names.iter().collect::<Vec<_>>());
    let made: Vec<String> = [batch.clone(), left.clone(), right.clone()].concat();
    Plan {
        a: side(a, [&batch_names, &left_names, &inner_names]),
        b: b.map(|b| side(b, [&batch_names, &inner_names, &right_names])),
        counts: [batch.len(), left.len(), inner.len(), right.len()],
        output: positions(&made, &output.iter().collect::<Vec<_>>()),
    }
}

fn einsum(call: &mut Call) -> Result<Traced, Fault> {
    let pattern = call.str("pattern")?;
    let single = matches!(call.peek("b"), Arg::Const(Const::None));
    let (terms, output) = parse(&pattern, if single { 1 } else { 2 })?;
    let a = call.float_tensor("a")?;
    let b = call.optional_tensor("b")?;
    if let Some(b) = b.as_ref().filter(|b| b.kind != Kind::Float) {
        return Err(Fault::new("wrong-kind", format!("`b` is `{b}`, expected floats")).of("b"));
    }
    let a_labels = spread(&terms[0], &a, "a")?;
    let b_labels = match (&b, terms.get(1)) {
        (Some(b), Some(term)) => Some(spread(term, b, "b")?),
        _ => None,
    };
    let mut sizes: Vec<(&String, Dim)> = a_labels.iter().zip(a.shape.iter().cloned()).collect();
    for (label, size) in b_labels.iter().flatten().zip(b.iter().flat_map(|b| &*b.shape)) {
        match sizes.iter().find(|(known, _)| *known == label) {
            Some((_, known)) => {
                call.same(known, size, format_args!("sizes of the axis `{label}` of `{pattern}`"))?;
            }
            None => sizes.push((label, size.clone())),
        }
    }
    let dots = a_labels.iter().chain(b_labels.iter().flatten()).filter_map(|label| label.strip_prefix('…'));
    let covered = dots.filter_map(|index| index.parse::<usize>().ok()).max().map_or(0, |most| most + 1);
    let covered: Vec<String> = (0..covered).rev().map(hidden).collect();
    let output: Labels = output
        .into_iter()
        .flat_map(|name| if name == "..." { covered.clone() } else { vec![name] })
        .collect();
    let size_of =
        |name: &String| sizes.iter().find(|(known, _)| *known == name).map(|(_, size)| size.clone());
    let shape: Vec<Dim> = output.iter().filter_map(size_of).collect();
    let plan = plan(&a_labels, b_labels.as_deref(), &output);
    let run = kernel(move |mut inputs, context| {
        Ok(contract(&plan, inputs.take(), inputs.optional(), context).into())
    });
    Ok(Traced::one(run, TensorType::float(shape)))
}

fn arranged(value: Value, side: &Side) -> Value {
    let value =
        if side.summed.is_empty() { value } else { drop_axes(sum(value, &side.summed), &side.summed) };
    value.permute(&side.order)
}

/// The shape with the axes of each group but the first merged into one.
fn merged(shape: &[usize], batch: usize, first: usize) -> Vec<usize> {
    let mut found = shape[..batch].to_vec();
    found.push(shape[batch..batch + first].iter().product());
    found.push(shape[batch + first..].iter().product());
    found
}

fn contract(plan: &Plan, a: Value, b: Option<Value>, context: &Context<'_>) -> Value {
    let [batch, left, inner, right] = plan.counts;
    let (Some(b), Some(b_side)) = (b, &plan.b) else { return arranged(a, &plan.a).permute(&plan.output) };
    let (a, b) = unified(arranged(a, &plan.a), arranged(b, b_side), Kind::Float, context);
    let (a_shape, b_shape) = (a.shape(), b.shape());
    let shape = [&a_shape[..batch + left], &b_shape[batch + inner..]].concat();
    let product = if inner == 0 {
        // Nothing is summed: a product with broadcasting.
        let a = a.reshape([&a_shape[..], &vec![1; right]].concat());
        let b = b.reshape([&b_shape[..batch], &vec![1; left], &b_shape[batch..]].concat());
        B::float_mul(a.into_primitive(), b.into_primitive())
    } else {
        let a = a.reshape(merged(&a_shape, batch, left));
        let b = b.reshape(merged(&b_shape, batch, inner));
        B::float_matmul(a.into_primitive(), b.into_primitive())
    };
    Value::Float(product).reshape(shape).permute(&plan.output)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::ops::testing::{assert_close, check_gradient, check_half, fault, noise, run_one, sample};

    /// The sum of products, place by place, for patterns of letters.
    fn naive(pattern: &str, a: &[usize], b: &[usize]) -> (Vec<usize>, Vec<f32>) {
        let (left, out) = pattern.split_once("->").expect("a pattern");
        let (la, lb) = left.split_once(',').expect("two operands");
        let mut sizes: BTreeMap<char, usize> = la.chars().zip(a.iter().copied()).collect();
        sizes.extend(lb.chars().zip(b.iter().copied()));
        let names: Vec<char> = sizes.keys().copied().collect();
        let index = |term: &str, place: &BTreeMap<char, usize>| {
            term.chars().fold(0, |index, name| index * sizes[&name] + place[&name])
        };
        let shape: Vec<usize> = out.chars().map(|name| sizes[&name]).collect();
        let mut found = vec![0.0; shape.iter().product()];
        let (x, y) = (noise(a.iter().product()), noise(b.iter().product()));
        for mut count in 0..sizes.values().product() {
            let mut place = BTreeMap::new();
            for name in &names {
                place.insert(*name, count % sizes[name]);
                count /= sizes[name];
            }
            found[index(out, &place)] += x[index(la, &place)] * y[index(lb, &place)];
        }
        (shape, found)
    }

    #[test]
    fn every_kind_of_contraction() {
        for (pattern, a, b) in [
            ("ij,jk->ik", &[2, 3][..], &[3, 4][..]),
            ("bhid,bhjd->bhij", &[2, 2, 3, 4], &[2, 2, 5, 4]),
            ("bhij,bhjd->bihd", &[2, 2, 3, 5], &[2, 2, 5, 4]),
            ("bqhd,bkhd->bhqk", &[2, 3, 2, 4], &[2, 5, 2, 4]),
            ("i,j->ji", &[2], &[3]),
            ("bi,bi->b", &[2, 3], &[2, 3]),
            ("bi,i->bi", &[2, 3], &[3]),
            ("bchw,hkc->bkwh", &[2, 3, 4, 5], &[4, 2, 3]),
            ("abc,cd->ad", &[2, 3, 4], &[4, 2]),
            ("ij,jk->", &[2, 3], &[3, 2]),
        ] {
            let args = [("pattern", pattern.into()), ("a", sample(a).symbolic(&[0])), ("b", sample(b))];
            let (shape, expected) = naive(pattern, a, b);
            let found = run_one("einsum", &args);
            assert_eq!(found.0, shape, "{pattern}");
            assert_close(&found.1, &expected);
        }
        check_gradient(
            "einsum",
            &[("pattern", "bid,bjd->bij".into()), ("a", sample(&[1, 2, 3])), ("b", sample(&[1, 2, 3]))],
        );
    }

    #[test]
    fn words_dots_and_one_operand() {
        let args =
            |pattern: &str| [("pattern", pattern.into()), ("a", sample(&[2, 3])), ("b", sample(&[3, 4]))];
        let expected = naive("ij,jk->ik", &[2, 3], &[3, 4]);
        assert_eq!(run_one("einsum", &args("rows inner, inner columns -> rows columns")), expected);
        assert_eq!(run_one("einsum", &args("...j,jk->...k")), expected);
        assert_eq!(run_one("einsum", &args("ij, jk -> ik")), expected);
        let single = [("pattern", "ijk->kj".into()), ("a", sample(&[2, 3, 4]))];
        let (shape, found) = run_one("einsum", &single);
        let x = noise(24);
        assert_eq!(shape, [4, 3]);
        assert_close(&found[1..2], &[x[4] + x[16]]);
        check_half("einsum", &args("ij,jk->ik"));
    }

    #[test]
    fn faults_name_the_axis() {
        let call = |pattern: &str| {
            fault("einsum", &[("pattern", pattern.into()), ("a", sample(&[2, 3])), ("b", sample(&[3, 4]))])
                .message
        };
        assert!(call("ij,jk->iz").contains("`z`"));
        assert!(call("ij,ij->ij").contains("`i`"), "{}", call("ij,ij->ij"));
        assert!(call("ijk,jk->i").contains("names 3 axes"));
        assert!(call("ii,jk->i").contains("twice"));
        assert!(call("ij,jk").contains("->"));
        assert!(call("ij->i").contains("1 operands"));
    }
}
