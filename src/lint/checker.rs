//! Checks the same files again and again, and remembers what cannot have changed.
//!
//! A file whose text is the same is not read again, code that stands in it is not parsed again, and modules, config
//! tables and architectures none of whose files changed are not worked out again; the lints look at the whole each time.
//! The findings are those of a first check. Absent on purpose: noticing that a file changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::code::View;
use super::context::{self, Context, File, Kept};
use super::reach::Reach;
use super::{Findings, Input, Lint, Options, all, allow, lints, settle};
use crate::diag::{Problem, Problems, Source, Span};
use crate::lang::Parses;
use crate::registry::Registry;

/// What a checker remembers.
#[derive(Debug, Default)]
pub struct Checker {
    files: BTreeMap<String, (File, Problems)>,
    parses: Parses,
    kept: Kept,
}

/// What a check found, and what it looked at.
#[derive(Debug)]
pub struct Checked {
    /// What is wrong.
    pub findings: Findings,
    /// All files merged.
    pub registry: Registry,
    /// Every module with all that it inherits, its code parsed; those whose ancestors do not exist are absent.
    pub views: BTreeMap<String, Arc<View>>,
    /// What is built from what.
    pub reach: Reach,
}

impl Checker {
    /// Checks registry files.
    #[must_use]
    pub fn check(&mut self, input: &Input, options: &Options) -> Checked {
        let mut problems = Problems::new();
        let files = self.read(input, &mut problems);
        let registry = context::merge(&files, &mut self.kept.rules);
        let context = Context::new(&registry, &files, &self.parses, &mut self.kept, &mut problems);
        let with_rules = context::with_rules(&files);
        let kept = |lint: &Lint| lints::OF_RULES.iter().any(|other| other.name == lint.name);
        // A few take most of the time: each is handed out on its own.
        let found: Vec<(&Lint, Arc<Problems>)> = (all().par_iter().with_max_len(1))
            .map(|lint| {
                let known = if kept(lint) { self.kept.of_rules.find(lint.name, &with_rules) } else { None };
                let found = known.unwrap_or_else(|| {
                    let mut problems = Problems::new();
                    (lint.check)(&context, &mut problems);
                    Arc::new(problems)
                });
                (*lint, found)
            })
            .collect();
        for (lint, found) in found {
            problems.extend(found.iter().cloned());
            if kept(lint) {
                self.kept.of_rules.insert(lint.name, with_rules.clone(), &found);
            }
        }
        // A problem whose place is unknown is about what is checked; one in the base is not.
        let about = |problem: &Problem| problem.span.as_ref().is_none_or(|span| context.is_checked(span));
        let mut kept = Problems::new();
        kept.extend(problems.into_iter().filter(about));
        let checked: Vec<Arc<Source>> = context.checked().map(|file| Arc::clone(&file.source)).collect();
        let kept = allow::apply(&checked, kept);
        let mut sorted = Problems::new();
        let settled = kept.into_iter().filter_map(|problem| settle(problem, options, &registry));
        sorted.extend(without_follow_ups(&files, settled.collect()));
        let findings =
            Findings { problems: sorted.sorted(), files: checked.len(), architectures: context.traces.len() };
        let Context { views, reach, .. } = context;
        let views = views.into_iter().map(|(name, view)| (name.to_owned(), view)).collect();
        self.forget(&files);
        Checked { findings, registry, views, reach }
    }

    /// Each file on its own: as it was read before, if its text is the same.
    fn read(&mut self, input: &Input, problems: &mut Problems) -> Vec<File> {
        let base = input.base.iter().map(|source| (source, false));
        let wanted: Vec<_> = base.chain(input.files.iter().map(|source| (source, true))).collect();
        let read: Vec<(bool, File, Problems)> = (wanted.par_iter().with_max_len(1))
            .map(|(source, checked)| match self.files.get(&source.name) {
                Some((file, problems)) if file.source.text == source.text => {
                    (false, File { checked: *checked, ..file.clone() }, problems.clone())
                }
                _ => {
                    let (registry, problems) = Registry::from_files([Arc::clone(source)]);
                    let registry = Arc::new(registry);
                    (true, File { source: Arc::clone(source), registry, checked: *checked }, problems)
                }
            })
            .collect();
        self.parses.add(read.iter().filter(|(is_new, ..)| *is_new).map(|(_, file, _)| &*file.registry));
        let mut files = Vec::with_capacity(read.len());
        for (is_new, file, found) in read {
            problems.extend(found.iter().cloned());
            if is_new {
                self.files.insert(file.source.name.clone(), (file.clone(), found));
            }
            files.push(file);
        }
        files
    }

    /// Lets go of what belongs to files that are gone or changed.
    fn forget(&mut self, files: &[File]) {
        let current: FxHashSet<usize> = files.iter().map(|file| Arc::as_ptr(&file.source).addr()).collect();
        let is_current = |source: &Arc<Source>| current.contains(&Arc::as_ptr(source).addr());
        self.files.retain(|_, (file, _)| is_current(&file.source));
        self.parses.retain(&is_current);
        self.kept.retain(&is_current);
    }
}

/// The findings that say of something that it is not there.
const ABSENT: [&str; 6] = [
    "unknown-architecture",
    "unknown-category",
    "unknown-config",
    "unknown-module",
    "unknown-name",
    "unknown-task",
];

/// What could not be read is reported as such: that it is then not there is no news.
fn without_follow_ups(files: &[File], mut problems: Vec<Problem>) -> Vec<Problem> {
    let unread = files.iter().filter(|file| file.checked).flat_map(|file| &file.registry.unread);
    let is_told = |at: &Span| problems.iter().any(|problem| problem.span.as_ref() == Some(at));
    let told: Vec<&str> = unread.filter(|(_, at)| is_told(at)).map(|(name, _)| name.as_str()).collect();
    problems.retain(|problem| {
        let names = |span: &Span| told.contains(&span.text().trim_matches(['"', '\'']));
        !ABSENT.contains(&problem.code) || !problem.span.as_ref().is_some_and(names)
    });
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::EXAMPLE_BASE;

    fn found(checker: &mut Checker, files: &[Arc<Source>]) -> Vec<String> {
        let base = Registry::shipped().expect("the shipped registry loads").sources.clone();
        let input = Input { base, files: files.to_vec() };
        let checked = checker.check(&input, &Options::default());
        checked.findings.problems.iter().map(|problem| format!("{} {problem:?}", problem.code)).collect()
    }

    #[test]
    fn a_second_check_finds_what_a_first_one_would() {
        let toy = EXAMPLE_BASE.split("[modules.ToyBlock]").next().expect("the example has a block");
        let toy = Source::new("toy.toml", toy);
        let block = |text: &str| Source::new("block.toml", format!("[modules.ToyBlock]\n{text}"));
        let good = "inputs = ['x']\nlayers.up = 'Linear(size, wide, bias=use_bias)'\n\
                    layers.down = 'Linear(wide, size)'\nforward = 'return down(up(x))'\n";
        let steps = [
            good.to_owned(),
            good.replace("up(x)", "up(x, x)"),
            good.replace("Linear(size, wide", "Linear(wide, size"),
            good.replace("up(x)", "up(x"),
            good.replace("up(x)", "up(x"),
            good.replace("Linear", "Lineal"),
            good.to_owned(),
        ];
        let mut checker = Checker::default();
        for text in steps {
            let files = [Arc::clone(&toy), block(&text)];
            let (again, first) = (found(&mut checker, &files), found(&mut Checker::default(), &files));
            assert_eq!(again, first, "{text}");
            assert_eq!(first.is_empty(), text == good, "{first:?}");
        }
    }

    #[test]
    fn a_trace_depends_on_the_tables_of_the_parts_that_its_sample_names() {
        let [config, modules] = EXAMPLE_BASE.split("[modules.Toy]").collect::<Vec<_>>()[..] else {
            panic!("the example has a module")
        };
        let config = config.replace(
            "sample   = {",
            "parts = { block = 'toy_part' }\nsample = { block = { model_type = 'other' },",
        );
        let modules = modules.replace("ToyBlock()", "ToyBlock(config=config.block.inner)");
        let modules = modules.replace("[\"x\"]\n", "[\"x\"]\n\n");
        let toy = Source::new("toy.toml", format!("{config}[config.toy_part]\n[modules.Toy]{modules}"));
        let other = Source::new("other.toml", "[config.other]\nparts = { inner = 'inner' }\n");
        let inner = |wide: &str| {
            let defaults = "size = 4, use_bias = true";
            Source::new("inner.toml", format!("[config.inner]\ndefaults = {{ {defaults}, wide = {wide} }}\n"))
        };
        let mut checker = Checker::default();
        for wide in ["6", "0"] {
            let files = [Arc::clone(&toy), Arc::clone(&other), inner(wide)];
            let (again, first) = (found(&mut checker, &files), found(&mut Checker::default(), &files));
            assert_eq!(again, first, "wide = {wide}");
            assert_eq!(first.is_empty(), wide == "6", "{first:#?}");
        }
    }

    #[test]
    fn a_trace_depends_on_the_modules_that_its_own_extend() {
        let [toy, block] = EXAMPLE_BASE.split("[modules.ToyBlock]").collect::<Vec<_>>()[..] else {
            panic!("the example has a block")
        };
        let toy = Source::new("toy.toml", format!("{toy}[modules.ToyBlock]\nextends = 'Parent'\n"));
        let parent = |text: &str| Source::new("parent.toml", format!("[modules.Parent]{text}"));
        let mut checker = Checker::default();
        for text in [block.to_owned(), block.replace("(wide, size", "(size, wide")] {
            let files = [Arc::clone(&toy), parent(&text)];
            let (again, first) = (found(&mut checker, &files), found(&mut Checker::default(), &files));
            assert_eq!(again, first, "{text}");
            assert_eq!(first.is_empty(), text == block, "{first:#?}");
        }
    }

    #[test]
    fn a_trace_depends_on_what_is_expected_of_it() {
        let toy = Source::new("toy.toml", EXAMPLE_BASE);
        let expect = |count: u64| {
            let text = format!("[[expect]]\narchitecture = 'Toy'\nparameters = {count}\n");
            Source::new("expect.toml", text)
        };
        let mut checker = Checker::default();
        for (count, holds) in [(90, true), (91, false), (90, true)] {
            let found = found(&mut checker, &[Arc::clone(&toy), expect(count)]);
            assert_eq!(found.is_empty(), holds, "{found:#?}");
        }
        // What the base expects is not at fault, until it is checked itself.
        let base = [Registry::shipped().expect("it loads").sources.clone(), vec![expect(91)]].concat();
        let mut check = |base: &[Arc<Source>], files: Vec<Arc<Source>>| {
            let input = Input { base: base.to_vec(), files };
            checker.check(&input, &Options::default()).findings.problems
        };
        assert!(check(&base, vec![Arc::clone(&toy)]).is_empty());
        let found = check(&base[..base.len() - 1], vec![toy, Arc::clone(&base[base.len() - 1])]);
        assert_eq!(found.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["unmet-expectation"]);
    }
}
