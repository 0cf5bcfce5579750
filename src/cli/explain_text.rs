//! The story of `omni explain` as a person reads it.

use std::fmt::Write as _;

use super::explain::{Asked, Repaired, Story, Tried};

/// Writes the story, most important things first: all but the error, which a person reads once, where it is reported.
pub(super) fn write(story: &Story) -> String {
    let mut text = String::new();
    headline(&mut text, story);
    section(
        &mut text,
        "names looked up",
        story.names.iter().map(|looked| {
            let found = looked.found.as_ref().map_or("not known".to_owned(), |found| format!("`{found}`"));
            format!("`{}` ({}): {found}", looked.name, looked.step)
        }),
    );
    let rule: Vec<String> = story.rule.iter().flat_map(|rule| lines(rule, true)).collect();
    section(&mut text, "rule that decided", rule);
    let near: Vec<String> = story.near_misses.iter().flat_map(|rule| lines(rule, false)).collect();
    section(&mut text, "rules that nearly did", near);
    section(&mut text, "notes", story.notes.iter().cloned());
    let repairs: Vec<String> = story.repairs.iter().flat_map(changes).collect();
    section(&mut text, "repairs of the config, in memory", repairs);
    section(&mut text, "config keys that nothing reads", story.unread_config_keys.iter().flatten().cloned());
    section(&mut text, "code of its own, never run", story.custom_code.iter().cloned());
    let local = story.local_definition.map(|state| match state {
        "allowed" => "`omni.toml`: allowed, and laid over the registry".to_owned(),
        _ => "`omni.toml`: data, and ignored; `--allow-local-definition` lets it count".to_owned(),
    });
    section(&mut text, "a definition of its own", local);
    section(&mut text, "known names spelt alike", story.nearest_names.iter().cloned());
    section(
        &mut text,
        "definitions with tensors like these",
        story.candidates.iter().map(|near| {
            format!(
                "`{}`: {} agree, {} missing, {} unexpected, {} of another shape",
                near.architecture, near.agree, near.missing, near.unexpected, near.reshaped
            )
        }),
    );
    let write = story.what_to_write.iter().flat_map(|write| write.lines().map(str::to_owned));
    section(&mut text, "to give it a definition, write into an overlay (`omni new DIR` does)", write);
    text
}

fn headline(text: &mut String, story: &Story) {
    let architecture = story.architecture.as_deref().unwrap_or("nothing known");
    let _ = write!(text, "{}: {architecture}", story.name);
    if let Some(category) = &story.category {
        let _ = write!(text, ", category {category}");
    }
    if let Some(task) = &story.task {
        let _ = write!(text, ", task {task}");
    }
    let status = match (story.status, story.verified) {
        (Some("defined"), true) => ", defined and verified",
        (Some("defined"), false) => ", defined, not verified",
        // What is made of models has no definition of its own, and needs none.
        (Some(_), _) if story.is_supported => "",
        (Some(_), _) => ", no definition yet",
        (None, _) => "",
    };
    let _ = writeln!(text, "{status}");
}

fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for line in lines {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
}

fn lines(rule: &Tried, fired: bool) -> Vec<String> {
    let mut lines = vec![format!("{} → {} (priority {})", rule.id, rule.category, rule.priority)];
    if fired {
        lines.push(format!("  because {}", rule.why));
    }
    facts(&rule.condition, 1, &mut lines);
    lines
}

/// The innermost conditions with the facts that decided them.
fn facts(asked: &Asked, depth: usize, lines: &mut Vec<String>) {
    if asked.parts.is_empty() {
        let mark = if asked.holds { "holds" } else { "fails" };
        lines.push(format!("{:indent$}{mark}: {}: {}", "", asked.condition, asked.fact, indent = depth * 2));
        return;
    }
    for part in &asked.parts {
        facts(part, depth, lines);
    }
}

fn changes(repair: &Repaired) -> Vec<String> {
    let shown =
        |value: &Option<serde_json::Value>| value.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    let mut lines = vec![format!("{}: {}", repair.id, repair.why)];
    for change in &repair.changes {
        lines.push(format!("  {}: {} → {}", change.path, shown(&change.before), shown(&change.after)));
    }
    lines
}
