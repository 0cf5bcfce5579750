//! What the texts of a definition tell without being evaluated.
//!
//! In: expressions of the module language, globs and templates. Out: the names in them and where those stand, or
//! nothing where only evaluating would tell.

/// Words after which a bracket begins a list or a group.
const KEYWORDS: [&str; 7] = ["and", "else", "for", "if", "in", "not", "or"];

/// An open bracket; of a list or a group, how many modules stand in front of it.
enum Bracket {
    List(usize),
    Group(usize),
    /// Arguments, an index, or a dict.
    Other,
}

/// What stands in front of a place in an expression.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// Nothing that a bracket could belong to.
    Operator,
    Value,
    /// The end of a list or group of layers.
    Layers,
}

/// The modules that an expression makes layers of, each with the number of lists that it lies in.
///
/// `None` where one is handed on as an argument, chosen by an index, kept in a dict, or found by `auto`: then the text
/// does not tell where its tensors are.
pub(super) fn modules<'m>(
    text: &str,
    module: impl Fn(&str) -> Option<&'m str>,
) -> Option<Vec<(&'m str, usize)>> {
    let mut found: Vec<(&str, usize)> = Vec::new();
    let mut open: Vec<Bracket> = Vec::new();
    let mut before = Before::Operator;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&first) = bytes.get(at) {
        let mut end = at + 1;
        before = match first {
            b'[' if before == Before::Layers => return None,
            b'(' | b'[' | b'{' => {
                open.push(match first {
                    b'(' if before == Before::Operator => Bracket::Group(found.len()),
                    b'[' if before == Before::Operator => Bracket::List(found.len()),
                    _ => Bracket::Other,
                });
                Before::Operator
            }
            b')' | b']' | b'}' => match open.pop() {
                Some(Bracket::List(count) | Bracket::Group(count)) if found.len() > count => Before::Layers,
                _ => Before::Value,
            },
            b'"' | b'\'' => {
                end += text[end..].find(char::from(first))? + 1;
                Before::Value
            }
            // An escape in a string: rare enough to look no further.
            b'\\' => return None,
            _ if is_of_word(first) => {
                end += bytes[end..].iter().take_while(|byte| is_of_word(**byte)).count();
                let word = &text[at..end];
                if word == "auto" && text[end..].trim_start().starts_with('(') {
                    return None;
                }
                if let Some(name) = module(word) {
                    if open.iter().any(|bracket| matches!(bracket, Bracket::Other)) {
                        return None;
                    }
                    let lists = open.iter().filter(|bracket| matches!(bracket, Bracket::List(_))).count();
                    found.push((name, lists));
                }
                if KEYWORDS.contains(&word) { Before::Operator } else { Before::Value }
            }
            _ if first.is_ascii_whitespace() => before,
            _ => Before::Operator,
        };
        at = end;
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// Whether a byte is one of a word: letters beyond ASCII are.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The names in an expression that says how something is stored, `{}` for what stands in braces; `None` where one is
/// computed in another way.
pub(super) fn templates(text: &str) -> Option<Vec<String>> {
    // Braces may stand for the words of a list there.
    let has_words = [" in [", " in ("].iter().any(|list| text.contains(list));
    let mut templates = Vec::new();
    for call in text.split("tensor(").skip(1) {
        let call = call.trim_start();
        let quote = call.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
        let (template, after) = call[1..].split_once(quote)?;
        if !after.trim_start().starts_with(')') || (has_words && template.contains('{')) {
            return None;
        }
        let mut parts = Vec::new();
        for part in template.split('.') {
            let is_number = part.starts_with('{') && part.find('}') == Some(part.len() - 1);
            if !is_number && part.contains('{') {
                return None;
            }
            parts.push(if is_number { "{}" } else { part });
        }
        templates.push(parts.join("."));
    }
    Some(templates)
}

/// Whether a name has all the text of a template.
pub(super) fn may_rename(template: &str, name: &str) -> bool {
    let text = template.split('{').enumerate().map(|(at, part)| match part.split_once('}') {
        Some((_, text)) if at > 0 => text,
        _ => part,
    });
    text.into_iter().all(|text| name.contains(text))
}

/// A glob of tensors to pass over, whatever a config says about the fields in it.
pub(super) fn any_field(glob: &str) -> String {
    let mut parts = glob.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |glob, part| format!("{glob}*{}", part.split_once('}').map_or("", |(_, rest)| rest)))
}

/// Whether a glob matches, as far as it is made of `*` and plain text.
pub(super) fn matches(glob: &str, name: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else { return glob == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[(&str, usize)]>) {
        let module = |word: &str| ["A", "B"].into_iter().find(|name| *name == word);
        assert_eq!(modules(text, module).as_deref(), expected, "{text}");
    }

    #[test]
    fn modules_are_told_with_the_lists_that_they_lie_in() {
        check("None", Some(&[]));
        check("A(size, kinds[i], bias='B' in names)", Some(&[("A", 0)]));
        check("A(config=text_config) if (depth > 0) else None", Some(&[("A", 0)]));
        check("[A(i) for i in range(n)]", Some(&[("A", 1)]));
        check("[[A(), B()] for i in range(n)] + [[B()]]", Some(&[("A", 2), ("B", 2)]));
        check("A() if flat else [B(), None] * 2", Some(&[("A", 0), ("B", 1)]));
        check("(A() if one else\n  B())", Some(&[("A", 0), ("B", 0)]));
        check("[A() for i in [1, 2] if not [i]]", Some(&[("A", 1)]));
        check("A(automatic, auto)", Some(&[("A", 0)]));
    }

    #[test]
    fn what_only_evaluating_tells_is_left_open() {
        for text in [
            "A(B())",
            "A(inner=[B()])",
            "A(inner=B)",
            "auto(text_config)",
            "A() if plain else auto (text_config)",
            "{'a': A()}",
            "[A(), B()][kind]",
            "[A(), B()] [kind]",
            "(A() if one else B())[0]",
            "reversed([A(), B()])",
            "A('it\\'s')",
            "A('",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn stored_names_are_told_where_they_are_written() {
        let told = |text| templates(text).map(|names| names.join(" "));
        assert_eq!(told("transpose(tensor(\"w\"), 0, 1)").as_deref(), Some("w"));
        assert_eq!(
            told("[stack([tensor('e.{i}.up') for i in range(n)], 0), tensor( \"/up\" )]").as_deref(),
            Some("e.{}.up /up")
        );
        for text in [
            "tensor(name)",
            "tensor('a' + suffix)",
            "tensor('e{i}.up')",
            "concat([tensor('{n}.w') for n in ['q', 'k']], 0)",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn globs_of_what_is_passed_over_stand_for_any_field() {
        for (glob, name, expected) in [
            ("*.inv_freq", "a.b.inv_freq", true),
            ("*.inv_freq", "inv_freq", false),
            ("layers.{depth}.*", "layers.61.up.weight", true),
            ("layers.{depth}.*", "layer.61.up.weight", false),
            ("k", "k", true),
            ("k", "key", false),
        ] {
            assert_eq!(matches(&any_field(glob), name), expected, "{glob} {name}");
        }
    }
}
