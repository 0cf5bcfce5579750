//! Where an expectation that is not met may have come from: what to look at first.
//!
//! In: the tensors or the plan that came out, and what was expected. Out: a few places, the likeliest first. A count
//! that is off is explained by the one change of one layer that makes up for the difference exactly.
//! Absent on purpose: any judgement; a guess is shown beside a fault, never as one.

use std::collections::{BTreeSet, VecDeque};

use crate::diag::Span;
use crate::ops::Slot;
use crate::plan::{Param, Plan};

/// How many places are shown.
const MOST: usize = 4;

/// The trained tensors of one layer as it is written, however many layers are made there.
struct Layer<'p> {
    at: &'p Span,
    params: Vec<&'p Param>,
}

/// The layers that account for a number of parameters that is off, by one size or one tensor each.
pub(super) fn of_count(params: &[Param], found: u64, expected: u64) -> Vec<(Span, String)> {
    let missing = i128::from(found) - i128::from(expected);
    let mut layers: Vec<Layer<'_>> = Vec::new();
    for param in params.iter().filter(|param| !param.buffer && param.tied_to.is_none()) {
        match layers.iter_mut().find(|layer| *layer.at == param.layer) {
            Some(layer) => layer.params.push(param),
            None => layers.push(Layer { at: &param.layer, params: vec![param] }),
        }
    }
    let mut ways: Vec<(i128, Span, String)> = Vec::new();
    for layer in &layers {
        if let Some((change, why)) = layer.explains(missing) {
            ways.push((change, layer.at.clone(), why));
        }
    }
    ways.sort_by_key(|(change, ..)| *change);
    // A small slip is likelier than a large one that happens to make the same difference.
    let most = ways.first().map_or(0, |(change, ..)| (4 * change).max(4));
    ways.retain(|(change, ..)| *change <= most);
    ways.into_iter().take(MOST).map(|(_, at, why)| (at, why)).collect()
}

impl Layer<'_> {
    /// How little must change here to make up for the difference, and in which words.
    fn explains(&self, difference: i128) -> Option<(i128, String)> {
        let mut ways: Vec<(i128, String)> = Vec::new();
        let names: BTreeSet<&str> = self.params.iter().map(|param| last(param)).collect();
        for name in &names {
            let own = self.params.iter().filter(|param| last(param) == *name);
            if own.map(|param| numbers(param)).sum::<i128>() == difference {
                ways.push((0, format!("without its `{name}` the count would be right")));
            }
        }
        let outs = || self.params.iter().filter_map(|param| param.shape.first()).map(|size| wide(*size));
        if names.len() == 1 && !names.contains("bias") && outs().sum::<i128>() == -difference {
            ways.push((0, "with a bias the count would be right".to_owned()));
        }
        let sizes: BTreeSet<String> = self.params.iter().flat_map(|param| written(param)).collect();
        for size in &sizes {
            // One more of this size is so many numbers more.
            let mut each = 0;
            let mut least = i128::MAX;
            for param in &self.params {
                for (axis, _) in written(param).iter().enumerate().filter(|(_, own)| *own == size) {
                    let length = wide(param.shape[axis]);
                    each += if length == 0 { 0 } else { numbers(param) / length };
                    least = least.min(length);
                }
            }
            if each > 0 && difference % each == 0 && difference / each < least {
                let change = difference / each;
                let (count, more) = (change.abs(), if change > 0 { "less" } else { "more" });
                ways.push((count, format!("with {count} {more} of `{size}` the count would be right")));
            }
        }
        for change in [1, -1, 2, -2] {
            let changed: Option<i128> = self.params.iter().map(|param| with_kernel(param, change)).sum();
            let now: i128 = self.params.iter().map(|param| numbers(param)).sum();
            if changed.is_some_and(|changed| now - changed == difference && changed != now) {
                let more = if change > 0 { "smaller" } else { "larger" };
                ways.push((
                    change.abs(),
                    format!("with a kernel {} {more} the count would be right", change.abs()),
                ));
            }
        }
        ways.into_iter().min_by_key(|(change, _)| *change)
    }
}

fn last(param: &Param) -> &str {
    param.name.rsplit('.').next().unwrap_or_default()
}

fn wide(size: usize) -> i128 {
    i128::try_from(size).unwrap_or(i128::MAX)
}

fn numbers(param: &Param) -> i128 {
    i128::from(param.elements())
}

/// How many numbers a tensor has if a kernel as long in each axis is so much smaller in all of them.
fn with_kernel(param: &Param, smaller: i128) -> Option<i128> {
    match param.shape.as_slice() {
        [outs, ins, kernel @ ..] if kernel.len() > 1 => {
            let sizes = kernel.iter().map(|size| Some(wide(*size) - smaller).filter(|size| *size > 0));
            Some(wide(*outs) * wide(*ins) * sizes.product::<Option<i128>>()?)
        }
        _ => Some(numbers(param)),
    }
}

/// The sizes of a tensor as its shape is written, one for each axis.
fn written(param: &Param) -> Vec<String> {
    let text = param.span.text();
    let inner =
        text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(inner, _)| inner);
    let sizes: Vec<String> = inner.split(',').map(|size| size.trim().to_owned()).collect();
    if sizes.len() == param.shape.len() {
        sizes
    } else {
        (0..param.shape.len()).map(|axis| format!("axis {axis} of {}", last(param))).collect()
    }
}

/// The instructions and tensors that gave an output its shape, from the last one back.
pub(super) fn of_shape(plan: &Plan, params: &[Param], output: Slot) -> Vec<(Span, String)> {
    let shape_of = |slot: Slot| {
        let results = plan.instrs.iter().flat_map(|instr| instr.outputs.iter().map(|(slot, ty)| (*slot, ty)));
        let read = plan.params.iter().map(|(_, slot, ty)| (*slot, ty));
        let given = plan.inputs.iter().map(|input| (input.slot, &input.ty));
        results.chain(read).chain(given).find(|(found, _)| *found == slot).map(|(_, ty)| &ty.shape)
    };
    let mut places: Vec<(Span, String)> = Vec::new();
    let mut open: VecDeque<Slot> = VecDeque::from([output]);
    let mut seen: BTreeSet<Slot> = BTreeSet::new();
    while let Some(slot) = open.pop_front() {
        if places.len() >= MOST || !seen.insert(slot) {
            continue;
        }
        let mut add = |at: &Span, why: String| {
            if places.iter().all(|(other, _)| other != at) {
                places.push((at.clone(), why));
            }
        };
        if let Some((id, ..)) = plan.params.iter().find(|(_, found, _)| *found == slot) {
            let param = &params[id.0];
            add(&param.layer, format!("`{}` is {:?}", param.name, param.shape));
            continue;
        }
        let written = |instr: &&crate::plan::Instr| instr.outputs.iter().any(|(found, _)| *found == slot);
        let Some(instr) = plan.instrs.iter().rev().find(written) else { continue };
        let inputs: Vec<Slot> = instr.inputs.iter().flatten().copied().collect();
        // What only passes a shape on does not explain it.
        let same: Vec<Slot> =
            inputs.iter().copied().filter(|input| shape_of(*input) == shape_of(slot)).collect();
        if same.is_empty() {
            let shape = shape_of(slot).into_iter().flat_map(|shape| &**shape).map(ToString::to_string);
            add(&instr.span, format!("`{}` gives [{}]", instr.op, shape.collect::<Vec<_>>().join(", ")));
            open.extend(inputs);
        } else {
            open.extend(same);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::plan::Stored;

    fn param(name: &str, shape: &[usize], layer: usize, text: &str) -> Param {
        let source = Source::new("a.toml", text);
        let span = Span::new(&source, 0..text.len());
        let toy = Source::new("toy.toml", " ".repeat(20));
        Param {
            name: name.to_owned(),
            shape: shape.to_vec(),
            buffer: false,
            tied_to: None,
            stored: vec![Stored::Tensor(name.to_owned())],
            span,
            layer: Span::new(&toy, layer..layer + 1),
        }
    }

    #[test]
    fn the_one_size_that_makes_up_for_the_difference_is_named() {
        let params = [
            param("up.weight", &[6, 4], 1, "[wide, size]"),
            param("up.bias", &[6], 1, "[wide] if bias else None"),
            param("down.weight", &[4, 5], 2, "[out, in]"),
        ];
        let words = |expected| -> Vec<String> {
            let places = of_count(&params, 50, expected);
            places.into_iter().map(|(at, why)| format!("{}: {why}", at.range.start)).collect()
        };
        assert_eq!(words(44)[0], "1: without its `bias` the count would be right");
        assert_eq!(words(46), ["2: with 1 less of `in` the count would be right"]);
        assert_eq!(words(54)[0], "2: with a bias the count would be right");
        assert_eq!(words(45).len(), 2, "either layer may have 1 less of a size: {:?}", words(45));
        assert!(words(49).is_empty(), "{:?}", words(49));
    }
}
