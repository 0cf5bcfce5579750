//! Which tensors a definition may have, told from its text.
//!
//! In: a registry, and the names in a checkpoint. Out: how alike the two are, by names alone. A definition is built
//! against a config in milliseconds; this takes microseconds, and says which few are worth it.
//!
//! What a config decides (sizes, conditions, how often something is repeated) counts as possible, so that the names
//! told are too many rather than too few: a test holds them against what the definitions build. What no text tells
//! (layers that are handed on as arguments, those that `auto` finds, names that are computed) makes a definition one
//! of which nothing is known, which is to be built.

mod text;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use text::{any_field, matches, may_rename, modules, templates};

use crate::registry::{Architecture, Code, Entries, Module, Registry};
use crate::weights::{Renames, without_numbers};

/// How deep modules may lie in one another, and how many are looked into at most: a text may go round in circles.
const DEEPEST: usize = 32;
const MOST: usize = 20_000;

/// The names in a checkpoint, numbers left out.
#[derive(Debug)]
pub(super) struct Stock {
    /// How many tensors have a name, and one of them.
    names: BTreeMap<String, (usize, String)>,
    /// The most tensors that share a name with so many numbers in it.
    repeats: BTreeMap<usize, usize>,
}

impl Stock {
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut stock = Self { names: BTreeMap::new(), repeats: BTreeMap::new() };
        for name in names {
            let (count, _) = stock.names.entry(without_numbers(name)).or_insert_with(|| (0, name.to_owned()));
            *count += 1;
        }
        for (name, (count, _)) in &stock.names {
            let most = stock.repeats.entry(holes(name)).or_default();
            *most = (*most).max(*count);
        }
        stock
    }
}

fn holes(name: &str) -> usize {
    name.bytes().filter(|byte| *byte == b'{').count()
}

/// How alike the names of a definition and of a checkpoint are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Likeness {
    /// Tensors of the checkpoint that the definition has.
    agree: usize,
    /// Tensors that one of the two has and the other has not.
    differ: usize,
    /// Tensors that the definition has with some configs, and the checkpoint has not.
    unsure: usize,
    /// Whether the text of the definition does not tell which tensors it has.
    open: bool,
}

impl Likeness {
    /// Whether nothing in the names speaks against it.
    pub(super) fn is_whole(self) -> bool {
        self.open || self.differ == 0
    }

    /// Whether only building the definition shows how alike it is.
    pub(super) fn is_open(self) -> bool {
        self.open
    }
}

impl Ord for Likeness {
    /// By the part of all tensors that agree, then by how little is unsure.
    fn cmp(&self, other: &Self) -> Ordering {
        let share = |one: &Self, of: &Self| one.agree as u128 * (of.agree + of.differ) as u128;
        share(self, other).cmp(&share(other, self)).then_with(|| other.unsure.cmp(&self.unsure))
    }
}

impl PartialOrd for Likeness {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A tensor that a definition may have, under any of these names.
#[derive(Debug)]
struct Expected {
    holes: usize,
    /// Whether only a config says if it is there.
    optional: bool,
}

/// What a module's text says, everything inherited included.
#[derive(Debug, Default)]
struct Shape<'r> {
    layers: Vec<Below<'r>>,
    tensors: Vec<Own<'r>>,
    replace: Vec<(&'r str, &'r str)>,
    /// Whether there is more than the text tells.
    open: bool,
}

#[derive(Debug)]
struct Below<'r> {
    name: &'r str,
    /// The modules that it may be, each with the number of lists that it lies in.
    modules: Vec<(&'r str, usize)>,
    optional: bool,
}

#[derive(Debug)]
struct Own<'r> {
    name: &'r str,
    /// Other names under which it may be stored, relative to its module unless they begin with `/`.
    stored: Vec<String>,
    optional: bool,
}

/// Tells which tensors the definitions of a registry may have.
#[derive(Debug)]
pub(super) struct Outlines<'r> {
    registry: &'r Registry,
    shapes: RefCell<HashMap<&'r str, Rc<Shape<'r>>>>,
}

/// The tensors told so far, and under which names.
#[derive(Debug, Default)]
struct Told {
    expected: Vec<Expected>,
    names: HashMap<String, usize>,
    /// The modules that were looked into.
    modules: usize,
    /// Whether there is more than was told.
    open: bool,
}

impl<'r> Outlines<'r> {
    pub(super) fn new(registry: &'r Registry) -> Self {
        Self { registry, shapes: RefCell::default() }
    }

    /// How alike a definition and a checkpoint are; `None` if they are known to have no name in common.
    pub(super) fn likeness(&self, architecture: &'r Architecture, stock: &Stock) -> Option<Likeness> {
        let told = self.tell(architecture);
        let mut found = vec![false; told.expected.len()];
        let (mut agree, mut open) = (0, Vec::new());
        for (name, (count, example)) in &stock.names {
            match told.find(name, &architecture.prefixes) {
                Some(at) => {
                    found[at] = true;
                    agree += count;
                }
                None => open.push((*count, example)),
            }
        }
        if agree == 0 && architecture.rename.is_empty() && !told.open {
            return None;
        }
        // Templates take long to compile, and are needed only where one of them has something to rename.
        let renames = Some(&architecture.rename).filter(|pairs| {
            pairs.iter().any(|(from, _)| open.iter().any(|(_, example)| may_rename(from, example)))
        });
        if let Some(renames) = renames.and_then(|pairs| Renames::compile(pairs).ok()) {
            open.retain(|(count, example)| {
                let at = told.find(&without_numbers(&renames.apply(example)), &architecture.prefixes);
                if let Some(at) = at {
                    found[at] = true;
                    agree += count;
                }
                at.is_none()
            });
        }
        let patterns: Vec<String> = architecture.ignore.iter().map(|glob| any_field(glob)).collect();
        open.retain(|(_, example)| !patterns.iter().any(|pattern| matches(pattern, example)));
        let unexpected: usize = open.iter().map(|(count, _)| count).sum();
        let mut likeness = Likeness { agree, differ: unexpected, unsure: 0, open: told.open };
        for expected in
            told.expected.iter().zip(found).filter_map(|(expected, found)| (!found).then_some(expected))
        {
            let count = stock.repeats.get(&expected.holes).copied().unwrap_or(1);
            *(if expected.optional { &mut likeness.unsure } else { &mut likeness.differ }) += count;
        }
        (agree > 0 || told.open).then_some(likeness)
    }

    fn tell(&self, architecture: &'r Architecture) -> Told {
        let mut told = Told::default();
        self.walk(&architecture.module.text, &mut String::new(), &[], (false, 0), &mut told);
        told
    }

    fn walk(
        &self,
        module: &'r str,
        path: &mut String,
        outer: &[Rc<Shape<'r>>],
        (optional, depth): (bool, usize),
        told: &mut Told,
    ) {
        told.modules += 1;
        if depth > DEEPEST || told.modules > MOST {
            told.open = true;
            return;
        }
        let shape = self.shape(module);
        told.open |= shape.open;
        for own in &shape.tensors {
            told.add(path, own, optional);
        }
        let inner;
        let around = if shape.replace.is_empty() {
            outer
        } else {
            inner = [&[Rc::clone(&shape)], outer].concat();
            &inner
        };
        let length = path.len();
        for below in &shape.layers {
            for &(module, lists) in &below.modules {
                join(path, below.name);
                for _ in 0..lists {
                    join(path, "{}");
                }
                let module = around.iter().fold(module, |name, shape| {
                    shape.replace.iter().find(|(from, _)| *from == name).map_or(name, |(_, to)| to)
                });
                self.walk(module, path, around, (optional || below.optional, depth + 1), told);
                path.truncate(length);
            }
        }
    }

    fn shape(&self, module: &'r str) -> Rc<Shape<'r>> {
        if let Some(shape) = self.shapes.borrow().get(module) {
            return Rc::clone(shape);
        }
        let shape = Rc::new(self.read(module));
        self.shapes.borrow_mut().insert(module, Rc::clone(&shape));
        shape
    }

    fn read(&self, module: &str) -> Shape<'r> {
        let mut chain: Vec<&'r Module> = Vec::new();
        let mut next = self.registry.modules.get(module);
        while let Some(module) = next.filter(|_| chain.len() < DEEPEST) {
            chain.push(module);
            next = module.extends.as_ref().and_then(|name| self.registry.modules.get(&name.text));
        }
        chain.reverse();
        let merged = |of: fn(&Module) -> &Entries<Code>| -> BTreeMap<&'r str, &'r str> {
            let entries = chain.iter().flat_map(|module| of(module));
            entries.map(|(name, code)| (name.text.as_str(), code.text.as_str())).collect()
        };
        let tied = merged(|module| &module.tied);
        let stored = merged(|module| &module.stored);
        let is_optional = |name: &str, text: &str| text.contains(" if ") || tied.contains_key(name);
        // An argument can stand for a layer by default.
        let arguments = chain.iter().flat_map(|module| module.args.iter().flatten());
        let mut open =
            arguments.into_iter().any(|code| self.modules(&code.text).is_none_or(|m| !m.is_empty()));
        let mut layers = Vec::new();
        for (name, text) in merged(|module| &module.layers) {
            match self.modules(text) {
                Some(modules) => layers.push(Below { name, modules, optional: is_optional(name, text) }),
                None => open = true,
            }
        }
        let params = merged(|module| &module.params).into_iter().chain(merged(|module| &module.buffers));
        let mut tensors = Vec::new();
        for (name, text) in params.filter(|(_, text)| text.trim() != "None") {
            let stored = stored.get(name).map_or(Some(Vec::new()), |text| templates(text));
            open |= stored.is_none();
            tensors.push(Own { name, stored: stored.unwrap_or_default(), optional: is_optional(name, text) });
        }
        Shape {
            layers,
            tensors,
            open,
            replace: chain
                .iter()
                .rev()
                .flat_map(|module| &module.replace)
                .map(|(from, to)| (from.text.as_str(), to.text.as_str()))
                .collect(),
        }
    }

    fn modules(&self, text: &str) -> Option<Vec<(&'r str, usize)>> {
        modules(text, |word| Some(self.registry.modules.get_key_value(word)?.0.as_str()))
    }
}

impl Told {
    fn add(&mut self, path: &str, own: &Own<'_>, optional: bool) {
        let at = self.expected.len();
        let mut holes_of = None;
        let own_name = [own.name.to_owned()];
        let stored = if own.stored.is_empty() { own_name.as_slice() } else { &own.stored };
        for template in stored {
            let name = match template.strip_prefix('/') {
                Some(absolute) => absolute.to_owned(),
                None if path.is_empty() => template.clone(),
                None => format!("{path}.{template}"),
            };
            holes_of.get_or_insert(holes(&name));
            let has_digit = name.bytes().any(|byte| byte.is_ascii_digit());
            self.names.entry(if has_digit { without_numbers(&name) } else { name }).or_insert(at);
        }
        let holes = holes_of.unwrap_or_default();
        self.expected.push(Expected { holes, optional: optional || own.optional });
    }

    /// The tensor that a checkpoint's name means, whatever it puts before its names or leaves out of them.
    fn find(&self, name: &str, prefixes: &[String]) -> Option<usize> {
        let under = |prefix: &String| {
            let longer = || self.names.get(&format!("{prefix}{name}"));
            name.strip_prefix(prefix).and_then(|name| self.names.get(name)).or_else(longer)
        };
        self.names.get(name).or_else(|| prefixes.iter().find_map(under)).copied()
    }
}

fn join(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Program;

    #[test]
    fn every_tensor_of_every_shipped_definition_is_told() {
        let registry = Registry::shipped().expect("no errors");
        let outlines = Outlines::new(registry);
        let mut seen = 0;
        for architecture in registry.architectures.values() {
            let told = outlines.tell(architecture);
            assert!(!told.open, "{} is built whatever a checkpoint holds", architecture.name.text);
            let config = registry.sample(architecture).expect("a table").expect("a sample");
            let program = Program::build(registry, architecture, &config, None).expect("it builds");
            let stored = program.params().iter().flat_map(|param| &param.stored);
            for name in stored.flat_map(|stored| stored.names()) {
                seen += 1;
                assert!(
                    told.names.contains_key(&without_numbers(name)),
                    "{}: {name}",
                    architecture.name.text
                );
            }
        }
        assert!(seen > 1000, "{seen}");
    }

    #[test]
    fn a_text_that_goes_round_in_circles_comes_to_an_end() {
        let text = "[modules.Round]\ninputs = ['x']\nlayers.a = 'Round()'\nlayers.b = 'Round()'\nforward = 'return x'\n\
            [architectures.Round]\ncategory = 'transformers'\ntask = 'causal-lm'\n";
        let source = crate::diag::Source::new("omni.toml", text);
        let registry = Registry::shipped().expect("no errors").with_file(&source).expect("a definition");
        let outlines = Outlines::new(&registry);
        assert!(outlines.tell(&registry.architectures["Round"]).open);
    }
}
