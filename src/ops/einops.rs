//! Patterns of named axes, as the Python package einops reads them: `b c (h p) w -> b (h w) (p c)`.
//!
//! In: the pattern, the shape it is applied to, and sizes by name. Out: a [`Plan`] of elementary axes. One axis of a
//! group may be left without a size; it is what the others leave of the whole. `...` stands for axes not named.
//!
//! Absent on purpose: the tensor code; see `rearrange.rs`.

use std::fmt;
use std::sync::Arc;

use super::call::{Call, Fault};
use super::dim::Dim;
use super::shape::{product, quotient};
use super::types::show_shape;

/// An elementary axis, as a pattern writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis<'p> {
    /// One with a name.
    Named(&'p str),
    /// A new one of this size; its place tells it from others of the same size.
    New(i64, usize),
    /// All that are not named: `...`.
    Rest,
    /// One of those that `...` covers.
    Covered(usize),
}

impl fmt::Display for Axis<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::New(size, _) => write!(f, "{size}"),
            Self::Rest => f.write_str("..."),
            Self::Covered(index) => write!(f, "…{index}"),
        }
    }
}

/// One part of a side: what is merged into one axis of the tensor; nothing for an axis of size 1.
type Group<'p> = Vec<Axis<'p>>;

/// What a pattern says of one tensor.
#[derive(Debug, Clone)]
pub(super) struct Plan<'p> {
    /// The elementary axes on the left, in order, with their sizes.
    pub(super) left: Vec<(Axis<'p>, Dim)>,
    /// The elementary axes on the right, in order, each with its place on the left.
    pub(super) right: Vec<(Axis<'p>, Dim, Option<usize>)>,
    /// The shape of the result.
    pub(super) shape: Arc<[Dim]>,
}

fn bad(message: impl Into<String>) -> Fault {
    Fault::value(message).of("pattern")
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The words of a side, brackets among them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let ends = |letter: char| letter.is_whitespace() || matches!(letter, '(' | ')');
        let end = rest.find(ends).unwrap_or(rest.len());
        // What ends at once is a bracket.
        let (word, after) = rest.split_at(if end == 0 { rest.len().min(1) } else { end });
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

/// Reads one side.
fn side(text: &str, numbers: bool) -> Result<Vec<Group<'_>>, Fault> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut open: Option<Group<'_>> = None;
    for word in words(text) {
        match (word, &mut open) {
            ("(", None) => open = Some(Vec::new()),
            ("(", Some(_)) => return Err(bad(format!("a `(` within parentheses in `{}`", text.trim()))),
            (")", _) => match open.take() {
                Some(group) => groups.push(group),
                None => return Err(bad(format!("a `)` without its `(` in `{}`", text.trim()))),
            },
            ("...", None) => groups.push(vec![Axis::Rest]),
            ("1", None) => groups.push(Vec::new()),
            ("1", Some(_)) => {}
            (word, place) => {
                let number = || word.parse().ok().filter(|size| numbers && *size > 0);
                let new = || number().map(|size| Axis::New(size, groups.len()));
                let axis = if is_name(word) { Some(Axis::Named(word)) } else { new() };
                let Some(axis) = axis else {
                    return Err(bad(format!("`{word}` in `{}` is no name of an axis", text.trim())));
                };
                match place {
                    Some(group) => group.push(axis),
                    None => groups.push(vec![axis]),
                }
            }
        }
    }
    if open.is_some() {
        return Err(bad(format!("a `(` without its `)` in `{}`", text.trim())));
    }
    let all = || groups.iter().flatten();
    match all().enumerate().find(|(index, axis)| all().take(*index).any(|other| other == *axis)) {
        Some((_, axis)) => Err(bad(format!("the axis `{axis}` stands twice in `{}`", text.trim()))),
        None => Ok(groups),
    }
}

/// Both sides of a pattern.
fn sides(pattern: &str) -> Result<[Vec<Group<'_>>; 2], Fault> {
    let Some((left, right)) = pattern.split_once("->") else {
        return Err(bad(format!("`{pattern}` has no `->`"))
            .help("write the axes before and after, as in `b (h w) c -> b h w c`"));
    };
    Ok([side(left, false)?, side(right, true)?])
}

/// The dots replaced by one group for each axis that they cover.
fn spread(groups: Vec<Group<'_>>, covered: usize) -> Vec<Group<'_>> {
    let Some(at) = groups.iter().position(|group| *group == [Axis::Rest]) else { return groups };
    let mut groups = groups;
    groups.splice(at..=at, (0..covered).map(|index| vec![Axis::Covered(index)]));
    groups
}

/// What the pattern says of a tensor of this shape, with sizes by name.
///
/// Which names may stand on one side only, `check` decides by the names left only and right only.
///
/// # Errors
/// A fault that names the axis at fault.
pub(super) fn plan<'p>(
    call: &mut Call,
    pattern: &'p str,
    shape: &[Dim],
    sizes: &[(Arc<str>, Dim)],
) -> Result<Plan<'p>, Fault> {
    let [left, right] = sides(pattern)?;
    let is_rest = |group: &Group<'_>| *group == [Axis::Rest];
    let dots = left.iter().any(is_rest);
    if !dots && right.iter().any(is_rest) {
        return Err(bad(format!("`...` stands on the right of `{pattern}` only")));
    }
    let named = left.len() - usize::from(dots);
    let covered = shape.len().checked_sub(named).filter(|covered| dots || *covered == 0);
    let Some(covered) = covered else {
        let message = format!(
            "`{pattern}` names {named} axes on the left, found {} in {}",
            shape.len(),
            show_shape(shape)
        );
        return Err(Fault::shape(message).of("pattern"));
    };
    let (left, right) = (spread(left, covered), spread(right, covered));
    let mut known: Vec<(Axis<'p>, Dim)> = Vec::with_capacity(shape.len());
    for (group, whole) in left.iter().zip(shape) {
        resolve(call, pattern, group, whole, sizes, &mut known)?;
    }
    let mut found: Vec<(Axis<'p>, Dim, Option<usize>)> = Vec::with_capacity(known.len());
    let mut merged = Vec::with_capacity(right.len());
    for group in &right {
        let start = found.len();
        for axis in group {
            let place = known.iter().position(|(known, _)| known == axis);
            let size = match (place, axis) {
                (Some(place), _) => Some(known[place].1.clone()),
                (None, Axis::New(size, _)) => Some(Dim::Known(*size)),
                (None, axis) => given(*axis, sizes).cloned(),
            };
            let Some(size) = size else {
                let message =
                    format!("the axis `{axis}` stands on the right of `{pattern}` only and has no size");
                return Err(bad(message).help(format!("give `{axis}=…`, or name it on the left")));
            };
            found.push((*axis, size, place));
        }
        merged.push(product(found[start..].iter().map(|(_, size, _)| size))?);
    }
    let all = || known.iter().map(|(axis, _)| axis).chain(found.iter().map(|(axis, ..)| axis));
    let is_used = |name: &str| all().any(|axis| *axis == Axis::Named(name));
    if let Some((name, _)) = sizes.iter().find(|(name, _)| !is_used(name)) {
        return Err(bad(format!("`{name}` is given a size, but `{pattern}` has no such axis")));
    }
    Ok(Plan { left: known, right: found, shape: merged.into() })
}

/// The size that the caller gives an axis.
fn given<'s>(axis: Axis<'_>, sizes: &'s [(Arc<str>, Dim)]) -> Option<&'s Dim> {
    let Axis::Named(name) = axis else { return None };
    sizes.iter().find(|(known, _)| **known == *name).map(|(_, size)| size)
}

/// What two sizes are of, for whoever compares them.
fn what<'w>(part: impl fmt::Display + 'w, pattern: &'w str) -> impl fmt::Display + 'w {
    fmt::from_fn(move |f| write!(f, "the axis `{part}` of `{pattern}` and its size"))
}

/// Adds the sizes of one group's axes to `known`; at most one of them is left open.
fn resolve<'p>(
    call: &mut Call,
    pattern: &str,
    group: &Group<'p>,
    whole: &Dim,
    sizes: &[(Arc<str>, Dim)],
    known: &mut Vec<(Axis<'p>, Dim)>,
) -> Result<(), Fault> {
    if group.is_empty() {
        return call.same(whole, &Dim::Known(1), what(1, pattern)).map_err(|fault| fault.of("pattern"));
    }
    let shown = fmt::from_fn(|f| match group.as_slice() {
        [one] => write!(f, "{one}"),
        several => {
            for (index, axis) in several.iter().enumerate() {
                write!(f, "{}{axis}", if index == 0 { "(" } else { " " })?;
            }
            f.write_str(")")
        }
    });
    let closed = product(group.iter().filter_map(|axis| given(*axis, sizes)))?;
    let mut open = group.iter().filter(|axis| given(**axis, sizes).is_none());
    let rest = match (open.next(), open.next()) {
        (None, _) => {
            call.same(whole, &closed, what(&shown, pattern)).map_err(|fault| fault.of("pattern"))?;
            Dim::Known(1)
        }
        (Some(_), None) if closed == Dim::Known(1) => whole.clone(),
        (Some(_), None) if closed == Dim::Known(0) => {
            return Err(bad(format!("the sizes in `{shown}` are 0")));
        }
        (Some(_), None) => {
            quotient(call, whole, &closed, what(&shown, pattern)).map_err(|fault| fault.of("pattern"))?
        }
        (Some(first), Some(second)) => {
            let fault = bad(format!("neither `{first}` nor `{second}` of `{shown}` has a size"));
            return Err(fault.help(format!("give `{first}=…` or `{second}=…`")));
        }
    };
    known.extend(group.iter().map(|axis| (*axis, given(*axis, sizes).unwrap_or(&rest).clone())));
    Ok(())
}
