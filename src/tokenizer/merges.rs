//! Finds the merges of a byte-pair vocabulary that is given as a list of tokens.
//!
//! In: tokens. Out: every way to put one together from two others (`generate_merges` in transformers);
//! SentencePiece and tiktoken files leave them out. The caller brings them into the order of its format.
//!
//! Absent on purpose: training.

use std::collections::HashMap;
use std::hash::Hash;

/// A hundred times the work that a real vocabulary of 256,000 tokens needs.
const BUDGET: usize = 1 << 31;

/// A merge, as places in the list of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) whole: usize,
}

/// A text or a string of bytes, which can be cut in two.
pub(crate) trait Token: Hash + Eq {
    fn size(&self) -> usize;
    /// The two parts, or nothing where a cut at `at` would fall inside a character.
    fn cut(&self, at: usize) -> Option<(&Self, &Self)>;
}

impl Token for str {
    fn size(&self) -> usize {
        self.len()
    }

    fn cut(&self, at: usize) -> Option<(&Self, &Self)> {
        self.split_at_checked(at)
    }
}

impl Token for [u8] {
    fn size(&self) -> usize {
        self.len()
    }

    fn cut(&self, at: usize) -> Option<(&Self, &Self)> {
        self.split_at_checked(at)
    }
}

/// The merges among those of `tokens` that take part, by the place of the whole, then by the length of the
/// left half.
pub(crate) fn find<T: Token + ?Sized>(
    tokens: &[&T],
    takes_part: impl Fn(usize) -> bool,
) -> Result<Vec<Merge>, String> {
    let work = tokens.iter().map(|token| token.size().saturating_pow(2)).fold(0, usize::saturating_add);
    if work > BUDGET {
        return Err("its tokens are too long to be put together from others".to_owned());
    }
    let parts = || tokens.iter().enumerate().filter(|(place, _)| takes_part(*place));
    let places: HashMap<&T, usize> = parts().map(|(place, token)| (*token, place)).collect();
    let mut merges = Vec::new();
    for (whole, token) in parts() {
        merges.extend((1..token.size()).filter_map(|at| {
            let (left, right) = token.cut(at)?;
            Some(Merge { left: *places.get(left)?, right: *places.get(right)?, whole })
        }));
    }
    Ok(merges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_way_that_only_uses_parts() {
        let tokens = ["a", "b", "ab", "é", "abé", "bé"];
        let named = |merges: Vec<Merge>| {
            let shown = |merge: &Merge| format!("{}+{}", tokens[merge.left], tokens[merge.right]);
            merges.iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(named(find(&tokens, |_| true).expect("little work")), ["a+b", "a+bé", "ab+é", "b+é"]);
        assert_eq!(named(find(&tokens, |place| place != 2).expect("little work")), ["a+bé", "b+é"]);
    }

    #[test]
    fn refuses_endless_work() {
        let long = "x".repeat(1 << 17);
        assert!(find(&[long.as_str()], |_| true).is_err());
    }
}
