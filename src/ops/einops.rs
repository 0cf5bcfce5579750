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

/// One part of a side: the names that are merged into one axis of the tensor; none for an axis of size 1.
type Group = Vec<String>;

/// What a pattern says of one tensor.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The elementary axes on the left, in order, with their sizes.
    pub(super) left: Vec<(String, Dim)>,
    /// The elementary axes on the right, in order.
    pub(super) right: Vec<(String, Dim)>,
    /// The shape of the result.
    pub(super) shape: Vec<Dim>,
}

fn bad(message: impl Into<String>) -> Fault {
    Fault::value(message).of("pattern")
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// Reads one side; `...` becomes the group `["..."]`.
fn side(text: &str, numbers: bool) -> Result<Vec<Group>, Fault> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut groups: Vec<Group> = Vec::new();
    let mut open: Option<Group> = None;
    for token in spaced.split_whitespace() {
        match (token, &mut open) {
            ("(", None) => open = Some(Vec::new()),
            ("(", Some(_)) => return Err(bad(format!("a `(` within parentheses in `{}`", text.trim()))),
            (")", _) => match open.take() {
                Some(group) => groups.push(group),
                None => return Err(bad(format!("a `)` without its `(` in `{}`", text.trim()))),
            },
            ("...", None) => groups.push(vec![token.to_owned()]),
            ("1", None) => groups.push(Vec::new()),
            ("1", Some(_)) => {}
            (name, place)
                if is_name(name) || (numbers && name.parse::<i64>().is_ok_and(|number| number > 0)) =>
            {
                // A number is an axis of its own; its place tells it from others of the same size.
                let name = if is_name(name) { name.to_owned() } else { format!("{name}#{}", groups.len()) };
                match place {
                    Some(group) => group.push(name),
                    None => groups.push(vec![name]),
                }
            }
            (other, _) => return Err(bad(format!("`{other}` in `{}` is no name of an axis", text.trim()))),
        }
    }
    if open.is_some() {
        return Err(bad(format!("a `(` without its `)` in `{}`", text.trim())));
    }
    let names: Vec<&String> = groups.iter().flatten().collect();
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => Err(bad(format!("the axis `{name}` stands twice in `{}`", text.trim()))),
        None => Ok(groups),
    }
}

/// Both sides of a pattern.
fn sides(pattern: &str) -> Result<[Vec<Group>; 2], Fault> {
    let Some((left, right)) = pattern.split_once("->") else {
        return Err(bad(format!("`{pattern}` has no `->`"))
            .help("write the axes before and after, as in `b (h w) c -> b h w c`"));
    };
    Ok([side(left, false)?, side(right, true)?])
}

/// The dots replaced by one group for each axis that they cover.
fn spread(groups: Vec<Group>, covered: usize) -> Vec<Group> {
    let dots = || (0..covered).map(|index| vec![format!("…{index}")]).collect();
    groups.into_iter().flat_map(|group| if group == ["..."] { dots() } else { vec![group] }).collect()
}

/// What the pattern says of a tensor of this shape, with sizes by name.
///
/// Which names may stand on one side only, `check` decides by the names left only and right only.
///
/// # Errors
/// A fault that names the axis at fault.
pub(super) fn plan(
    call: &mut Call,
    pattern: &str,
    shape: &[Dim],
    sizes: &[(Arc<str>, Dim)],
) -> Result<Plan, Fault> {
    let [left, right] = sides(pattern)?;
    let dots = left.iter().any(|group| group == &["..."]);
    if !dots && right.iter().any(|group| group == &["..."]) {
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
    let mut known: Vec<(String, Dim)> = Vec::new();
    for (group, whole) in left.iter().zip(shape) {
        known.extend(resolve(call, pattern, group, whole, sizes)?);
    }
    let mut found = Vec::new();
    for name in right.iter().flatten() {
        let number = name.split_once('#').and_then(|(number, _)| number.parse().ok()).map(Dim::Known);
        let size = known.iter().find(|(known, _)| known == name).map(|(_, size)| size.clone());
        let given = || sizes.iter().find(|(known, _)| **known == **name).map(|(_, size)| size.clone());
        let Some(size) = size.or(number).or_else(given) else {
            let fault =
                bad(format!("the axis `{name}` stands on the right of `{pattern}` only and has no size"));
            return Err(fault.help(format!("give `{name}=…`, or name it on the left")));
        };
        found.push((name.clone(), size));
    }
    let is_used = |name: &str| known.iter().chain(&found).any(|(known, _)| known == name);
    if let Some((name, _)) = sizes.iter().find(|(name, _)| !is_used(name)) {
        return Err(bad(format!("`{name}` is given a size, but `{pattern}` has no such axis")));
    }
    let size_of = |name: &String| found.iter().find(|(known, _)| known == name).map(|(_, size)| size.clone());
    let mut merged = Vec::new();
    for group in &right {
        merged.push(product(&group.iter().filter_map(size_of).collect::<Vec<_>>())?);
    }
    Ok(Plan { left: known, right: found, shape: merged })
}

/// The sizes of one group's axes, of which at most one is left open.
fn resolve(
    call: &mut Call,
    pattern: &str,
    group: &Group,
    whole: &Dim,
    sizes: &[(Arc<str>, Dim)],
) -> Result<Vec<(String, Dim)>, Fault> {
    let given =
        |name: &String| sizes.iter().find(|(known, _)| **known == **name).map(|(_, size)| size.clone());
    let what = |part| fmt::from_fn(move |f| write!(f, "the axis `{part}` of `{pattern}` and its size"));
    if group.is_empty() {
        call.same(whole, &Dim::Known(1), what("1")).map_err(|fault| fault.of("pattern"))?;
        return Ok(Vec::new());
    }
    let parts = group.iter().map(|name| (name, given(name))).collect::<Vec<_>>();
    let open: Vec<&String> = parts.iter().filter(|(_, size)| size.is_none()).map(|(name, _)| *name).collect();
    let closed = product(&parts.iter().filter_map(|(_, size)| size.clone()).collect::<Vec<_>>())?;
    let shown = if let [one] = group.as_slice() { one.clone() } else { format!("({})", group.join(" ")) };
    let rest = match open.as_slice() {
        [] => {
            call.same(whole, &closed, what(&shown)).map_err(|fault| fault.of("pattern"))?;
            Dim::Known(1)
        }
        [_] if closed == Dim::Known(0) => return Err(bad(format!("the sizes in `{shown}` are 0"))),
        [_] => quotient(call, whole, &closed, what(&shown)).map_err(|fault| fault.of("pattern"))?,
        [first, second, ..] => {
            let fault = bad(format!("neither `{first}` nor `{second}` of `{shown}` has a size"));
            return Err(fault.help(format!("give `{first}=…` or `{second}=…`")));
        }
    };
    Ok(parts.into_iter().map(|(name, size)| (name.clone(), size.unwrap_or_else(|| rest.clone()))).collect())
}
