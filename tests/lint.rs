//! The examples on the lints' pages, executed: the bad one has the finding, the good one has none.

use std::fmt::Write as _;
use std::sync::Arc;

use omni::diag::Source;
use omni::lint::{self, EXAMPLE_BASE, Findings, Input, Options};
use omni::registry::Registry;

fn check(name: &str, text: &str) -> Findings {
    let mut base: Vec<Arc<Source>> = Registry::shipped().expect("the shipped registry loads").sources.clone();
    base.push(Source::new("toy.toml", EXAMPLE_BASE));
    lint::check(&Input { base, files: vec![Source::new(name, text)] }, &Options::default())
}

#[test]
fn the_bad_example_of_every_page_has_its_finding_and_the_good_one_has_none() {
    let mut wrong = String::new();
    for lint in lint::all() {
        let codes = |text: &str| -> Vec<String> {
            check("example.toml", text).problems.iter().map(|p| format!("{}: {p}", p.code)).collect()
        };
        let (bad, good) = (codes(&lint::example(lint.bad)), codes(&lint::example(lint.good)));
        if !bad.iter().any(|found| found.starts_with(&format!("{}:", lint.name))) {
            let _ = writeln!(wrong, "{}: not found in the bad example, but {bad:?}", lint.name);
        }
        if !good.is_empty() {
            let _ = writeln!(wrong, "{}: found in the good example: {good:?}", lint.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_lint_has_a_page_and_the_docs_have_them_all() {
    let names: Vec<&str> = lint::all().iter().map(|lint| lint.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "by name, each once");
    for lint in lint::all() {
        let name = lint.name;
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        for text in [lint.what, lint.why] {
            assert!(
                text.trim_end_matches(')').ends_with('.') && !text.starts_with(char::is_lowercase),
                "{name}: {text}"
            );
        }
        assert!(lint.bad.ends_with('\n') && lint.good.ends_with('\n') && lint.bad != lint.good, "{name}");
        let page = lint::page(lint);
        for part in [&format!("# {name}\n"), lint.what, lint.why, lint.bad, "\nNot "] {
            assert!(page.contains(part), "{part:?} is not on the page of {name}");
        }
        // What differs is shown, whether whole or line by line.
        for line in lint.good.lines().filter(|line| !lint.bad.lines().any(|other| other == *line)) {
            assert!(page.contains(line), "{line:?} is not on the page of {name}");
        }
    }
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lints.md");
    let written = std::fs::read_to_string(docs).expect("the docs are there");
    assert!(
        written == lint::pages(),
        "docs/lints.md is out of date: cargo run -- explain-lint --all > docs/lints.md"
    );
}

#[test]
fn the_report_of_every_bad_example_is_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots/lint");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for lint in lint::all() {
            let found = check("example.toml", &lint::example(lint.bad));
            let report: String = found
                .problems
                .iter()
                .filter(|problem| problem.code == lint.name)
                .map(|p| p.render(100))
                .collect();
            insta::assert_snapshot!(lint.name, report, lint.what);
        }
    });
}

#[test]
fn what_cannot_be_traced_with_the_inputs_of_an_expectation_is_told_once() {
    let found = check(
        "example.toml",
        "[modules.Toy]\ninputs = ['input_ids', 'a=None', 'b=None']\ntypes.a = 'float[batch]'\ntypes.b = 'float[batch]'\n\
         layers.tokens = 'Embedding(vocab_size, size)'\nlayers.block = 'ToyBlock()'\nforward = '''\n\
         h = block(tokens(input_ids))\nif a is not None:\n    h = h + b[:, None, None] * a[:, None, None]\n\
         return {\"last_hidden_state\": h}\n'''\n\
         [[expect]]\narchitecture = 'Toy'\nparameters = 90\ninputs = { a = '[2]' }\n\
         outputs = { last_hidden_state = '[batch, time, 4]' }\n",
    );
    let told: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert!(matches!(told.as_slice(), [only] if only.contains("None")), "{told:#?}");
}

#[test]
fn what_cannot_be_read_is_not_reported_as_absent_as_well() {
    let codes = |text: &str| -> Vec<&str> {
        let found = check("example.toml", text).problems.into_iter().map(|problem| problem.code);
        found.filter(|code| *code != "unused-module").collect()
    };
    let names = "[modules.ToyTwo]\nextends = 'Toy'\nreplace.ToyBlock = 'Other'\n\
                 [modules.ToyThree]\nextends = 'Other'\n\
                 [architectures.ToyTwo]\ncategory = 'transformers'\ntask = 'embed'\nconfig = 'toy'\n";
    let broken = format!("{names}[modules.Other]\ninput = ['x']\nforward = 'return x'\n");
    assert_eq!(codes(&broken), ["unknown-key"]);
    // Where its own fault is not told, its absence is.
    let silenced = format!("{broken}[lints]\nunknown-key = 'off'\n");
    assert_eq!(codes(&silenced), ["unknown-module", "unknown-module"]);
    assert_eq!(codes(names), ["unknown-module", "unknown-module"], "each place once");
}

#[test]
fn a_task_generates_by_a_method_with_tokens_and_logits() {
    let found = |generates: &str| {
        let methods = r#"methods.read   = { inputs = ["input_ids"], outputs = ["logits"] }
methods.listen = { inputs = ["input_ids"], outputs = ["last_hidden_state"] }
methods.dream  = { inputs = [], outputs = ["logits"] }"#;
        let text = format!("[tasks.tell]\n{methods}\ngenerates = \"{generates}\"\n");
        let problems = check("tell.toml", &text).problems;
        problems.iter().map(|p| format!("{}: {p}", p.code)).collect::<Vec<_>>()
    };
    assert_eq!(found("read"), [""; 0]);
    assert_eq!(
        found("reed"),
        ["unknown-method: tell.toml:5:14: `reed` is not a method of this task (did you mean `read`?)"]
    );
    assert_eq!(
        found("listen"),
        ["unknown-method: tell.toml:5:14: `listen` gives no `logits` to choose tokens by"]
    );
    assert_eq!(
        found("dream"),
        ["unknown-method: tell.toml:5:14: `dream` takes nothing, so it has no tokens to start from"]
    );
}

#[test]
fn every_shipped_definition_says_what_is_expected_of_its_sample() {
    let sources = Registry::shipped().expect("the shipped registry loads").sources.clone();
    let (registry, _) = Registry::from_files(sources);
    for name in registry.architectures.keys() {
        let mut about = registry.expectations.iter().filter(|expected| expected.architecture.text == *name);
        assert!(
            about.any(|expected| {
                expected.config.is_none() && expected.parameters.is_some() && !expected.outputs.is_empty()
            }),
            "no `[[expect]]` gives parameters and outputs of the sample of {name}"
        );
    }
}

#[test]
fn a_fault_points_back_at_what_made_its_values() {
    let head = "[modules.ToyBlock]\ninputs = ['x']\n";
    let related = |code: &str, text: &str| -> Vec<(String, String)> {
        let found = check("example.toml", &format!("{head}{text}")).problems;
        let problem = found.into_iter().find(|problem| problem.code == code).expect("a finding");
        problem.related.iter().map(|(span, label)| (span.text().to_owned(), label.clone())).collect()
    };
    let dict = related(
        "unknown-key",
        "layers.up = 'Linear(size, wide)'\nlayers.down = 'Linear(wide, size)'\n\
         forward = 'return down(widened(x)[\"wide\"])'\n\
         methods.widened = { inputs = ['x'], body = 'return {\"wider\": up(x)}' }\n",
    );
    assert!(dict.contains(&("\"wider\"".to_owned(), "it has this key".to_owned())), "{dict:?}");
    // Either of the two may be misspelt, unless a task promises one of them.
    let promised = |task: &str| {
        let text = format!(
            "[tasks.halves]\nwhat = 'two ways'\nmethods.forward = {{ inputs = ['input_ids'], outputs = ['whole'] }}\n\
             methods.half = {{ inputs = ['input_ids'], outputs = ['second'] }}\n\
             [architectures.Halves]\ncategory = 'transformers'\ntask = '{task}'\nconfig = 'toy'\n\
             [modules.Halves]\ninputs = ['input_ids']\nlayers.tokens = 'Embedding(vocab_size, size)'\n\
             forward = 'return {{\"whole\": half(input_ids)[\"second\"]}}'\n\
             methods.half = {{ inputs = ['input_ids'], body = 'return {{\"secnod\": tokens(input_ids)}}' }}\n"
        );
        let found = check("example.toml", &text).problems;
        let problem = found.into_iter().find(|problem| problem.code == "unknown-key").expect("a finding");
        problem.span.expect("a place").text().to_owned()
    };
    assert_eq!((promised("embed"), promised("halves")), ("\"second\"".to_owned(), "\"secnod\"".to_owned()));
    let given = related(
        "wrong-kind",
        "args = ['inner=5']\nlayers.up = 'Linear(size, wide)'\nlayers.down = 'Linear(wide, size)'\n\
         forward = 'return down(up(x)) * inner[0]'\n",
    );
    assert!(given.contains(&("ToyBlock()".to_owned(), "with these arguments".to_owned())), "{given:?}");
}
