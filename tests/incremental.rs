//! A checker that remembers finds what one that starts anew finds, whatever is done to the files between its checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use omni::diag::Source;
use omni::lint::{Checked, Checker, Input, Options};
use omni::registry::Registry;

/// So many series of edits, each from the clean registry on; `OMNI_EDITS` for more.
const SERIES: usize = 3;
/// So many edits each.
const EDITS: usize = 5;

/// Numbers that look random and are the same each time (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap_or(0);
        number % limit.max(1)
    }

    fn one_of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

type Files = BTreeMap<String, Arc<Source>>;

/// Changes one file: a line or a table more, less or elsewhere, a name for another, or the whole file.
fn edit(files: &mut Files, shipped: &Files, numbers: &mut Numbers) -> String {
    let definitions = |name: &&String| !name.contains("/names/");
    let name = (*numbers.one_of(&shipped.keys().filter(definitions).collect::<Vec<_>>())).clone();
    let Some(file) = files.get(&name) else {
        files.insert(name.clone(), Arc::clone(&shipped[&name]));
        return format!("{name} is back");
    };
    let mut lines: Vec<&str> = file.text.split_inclusive('\n').collect();
    let line = numbers.below(lines.len());
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(|word| word.len() > 2).map(str::to_owned).collect()
    };
    let (what, text) = match numbers.below(8) {
        0 => ("loses a line", [&lines[..line], &lines[line + 1..]].concat().concat()),
        1 => ("has a line twice", [&lines[..=line], &lines[line..]].concat().concat()),
        2 => {
            let other = (line + 1).min(lines.len() - 1);
            lines.swap(line, other);
            ("has two lines swapped", lines.concat())
        }
        3 | 4 => {
            let all = words(&file.text);
            let (old, new) = (numbers.one_of(&all).clone(), numbers.one_of(&all).clone());
            let place = file.text.match_indices(&old).map(|(at, _)| at).collect::<Vec<_>>();
            let mut text = file.text.clone();
            let at = *numbers.one_of(&place);
            text.replace_range(at..at + old.len(), &new);
            ("has one name for another", text)
        }
        5 => ("moves down", format!("# moved\n{}", file.text)),
        6 => {
            // A table goes to another file, where it may stand over one of that name, or below it.
            let heads: Vec<usize> = file.text.match_indices("\n[").map(|(at, _)| at + 1).collect();
            let at = *numbers.one_of(&heads);
            let end = heads.iter().copied().find(|head| *head > at).unwrap_or(file.text.len());
            let table = file.text[at..end].to_owned();
            let text = [&file.text[..at], &file.text[end..]].concat();
            let others: Vec<String> = files.keys().filter(|other| **other != name).cloned().collect();
            let other = numbers.one_of(&others).clone();
            let longer = format!("{}\n{table}", files[&other].text);
            files.insert(other.clone(), Source::new(other, longer));
            ("gives a table away", text)
        }
        _ => {
            files.remove(&name);
            return format!("{name} is gone");
        }
    };
    files.insert(name.clone(), Source::new(name.clone(), text));
    format!("{name}:{} {what}", line + 1)
}

/// All that a check says.
fn said(checked: &Checked) -> Vec<String> {
    let findings = &checked.findings;
    let counts = format!("{} files, {} architectures", findings.files, findings.architectures);
    std::iter::once(counts).chain(findings.problems.iter().map(|problem| format!("{problem:?}"))).collect()
}

/// Gives what both say.
fn compare(checker: &mut Checker, files: &Files, only: Option<&str>, what: &str) -> Vec<String> {
    let is_checked = |name: &str| only.is_none_or(|only| only == name);
    // The text anew, as from the disk: what is remembered must not hang on who holds it.
    let anew = |checked: bool| -> Vec<Arc<Source>> {
        let files = files.values().filter(|source| is_checked(&source.name) == checked);
        files.map(|source| Source::new(source.name.clone(), source.text.clone())).collect()
    };
    let input = Input { base: anew(false), files: anew(true) };
    let again = said(&checker.check(&input, &Options::default()));
    let first = said(&Checker::default().check(&input, &Options::default()));
    assert_eq!(again, first, "{what}");
    first
}

#[test]
fn what_is_remembered_is_what_would_be_found() {
    let shipped = &Registry::shipped().expect("no errors").sources;
    let shipped: Files = shipped.iter().map(|source| (source.name.clone(), Arc::clone(source))).collect();
    let series = std::env::var("OMNI_EDITS").ok().and_then(|number| number.parse().ok()).unwrap_or(SERIES);
    for seed in 0..series {
        let mut numbers = Numbers(seed as u64);
        let (mut files, mut checker) = (shipped.clone(), Checker::default());
        let names: Vec<&String> = shipped.keys().filter(|name| name.contains("/families/")).collect();
        let only = (seed % 3 == 2).then(|| numbers.one_of(&names).as_str());
        compare(&mut checker, &files, only, "at first");
        let mut done = Vec::new();
        for _ in 0..EDITS {
            done.push(edit(&mut files, &shipped, &mut numbers));
            compare(&mut checker, &files, only, &format!("series {seed}: {done:#?}"));
        }
        compare(&mut checker, &shipped, only, &format!("series {seed}: all undone after {done:#?}"));
    }
}

/// A layer, a size or a field of what others extend, made another: each is found in other files, too.
#[test]
fn what_others_are_built_from_is_not_remembered_past_its_change() {
    let shipped = &Registry::shipped().expect("no errors").sources;
    let shipped: Files = shipped.iter().map(|source| (source.name.clone(), Arc::clone(source))).collect();
    let mut checker = Checker::default();
    compare(&mut checker, &shipped, None, "at first");
    for (end, old, new) in [
        ("layers.toml", "params.weight = \"[out_features, in", "params.weight = \"[out_features, 1 + in"),
        (
            "families/llama.toml",
            "layers.q_proj = \"Linear(hidden_size",
            "layers.q_proj = \"Linear(1 + hidden_size",
        ),
        ("families/llama.toml", "layers.q_proj = ", "layers.q_projection = "),
        ("families/llama.toml", "rms_norm_eps", "rms_norm_epsilon"),
        ("families/whisper.toml", "layers.fc1", "layers.fc3"),
    ] {
        let mut files = shipped.clone();
        let name = shipped.keys().find(|name| name.ends_with(end)).expect("it is shipped");
        let text = files[name].text.replacen(old, new, 1);
        assert_ne!(text, files[name].text, "{end} has `{old}`");
        files.insert(name.clone(), Source::new(name.clone(), text));
        let found = compare(&mut checker, &files, None, &format!("{end}: {new}"));
        assert!(found.len() > 1, "{end}: {new}: {found:?}");
        compare(&mut checker, &shipped, None, &format!("{end}: undone"));
    }
}
