//! Every place at which a registry can be broken, by kind.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use omni::diag::Source;
use omni::lang::ast::{Expr, ExprKind, Stmt, StmtKind, each_in};
use omni::lang::{functions, parse};
use omni::ops::{self, Const};
use omni::registry::{Code, ConfigTable, Fallback, Module, Name, Registry};

use crate::edits::{Edit, Tables};

/// The sites found so far.
struct Sites<'a> {
    files: &'a [Arc<Source>],
    registry: &'a Registry,
    file: usize,
    tables: Tables,
    found: BTreeMap<&'static str, Vec<Edit>>,
}

/// What a piece of code is, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Layer,
    Shape,
    Stored,
    Body,
    Other,
}

/// A number that an edit draws by what its line says and where in it the edit is, whatever else changes.
pub(crate) fn draw(kind: &str, text: &str, at: usize, put: &str) -> u64 {
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (0x6f6d_6e69, kind, line, at - start, put).hash(&mut hasher);
    hasher.finish()
}

/// All sites of the registry.
pub(crate) fn collect(files: &[Arc<Source>]) -> BTreeMap<&'static str, Vec<Edit>> {
    let (registry, _) = Registry::from_files(files.to_vec());
    let tables = Tables::Definitions;
    let mut sites = Sites { files, registry: &registry, file: 0, tables, found: BTreeMap::new() };
    for (index, source) in files.iter().enumerate() {
        let (own, _) = Registry::from_files([Arc::clone(source)]);
        sites.file = index;
        sites.tables = Tables::Definitions;
        own.modules.values().for_each(|module| sites.module(module));
        own.configs.values().for_each(|table| sites.config(table));
        for architecture in own.architectures.values() {
            sites.misspell("misspell a category", &architecture.category);
            sites.misspell("misspell a task", &architecture.task);
            sites.line_of_key(&architecture.name, "category", "drop a required key");
            sites.line_of_key(&architecture.name, "task", "drop a required key");
            sites.block("duplicate an entry", &architecture.name);
            if architecture.module.span != architecture.name.span {
                sites.misspell("misspell a module", &architecture.module);
            }
            for ((_, to), span) in architecture.rename.iter().zip(&architecture.rename_at) {
                let at = span.range.start + to.rfind('.').map_or(0, |dot| dot + 1);
                sites.misspell_range("dangle a rename", at..span.range.end);
            }
        }
        sites.keys();
        sites.tables = Tables::Rest;
        sites.names_and_rules(&own);
    }
    sites.found
}

impl Sites<'_> {
    fn text(&self) -> &str {
        &self.files[self.file].text
    }

    fn put(&mut self, kind: &'static str, cut: Range<usize>, put: impl Into<String>) {
        let put = put.into();
        if self.text()[cut.clone()] != put {
            let declares = kind.starts_with("drop a") && kind != "drop an argument";
            let edit = Edit { kind, file: self.file, cut, put, also: None, tables: self.tables, declares };
            self.found.entry(kind).or_default().push(edit);
        }
    }

    /// Chance that is the same as long as the line is, whatever else changes.
    fn dice(&self, kind: &str, at: usize) -> fastrand::Rng {
        fastrand::Rng::with_seed(draw(kind, self.text(), at, ""))
    }

    /// The whole lines that a range touches.
    fn lines(&self, range: Range<usize>) -> Range<usize> {
        let start = self.text()[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text()[range.end..].find('\n').map_or(self.text().len(), |at| range.end + at + 1);
        start..end
    }

    fn misspell(&mut self, kind: &'static str, name: &Name) {
        self.misspell_range(kind, name.span.range.clone());
    }

    /// Two letters swapped, one left out, or one doubled.
    fn misspell_range(&mut self, kind: &'static str, range: Range<usize>) {
        let word: Vec<char> = self.text()[range.clone()].chars().collect();
        if word.len() < 2 || !word.iter().all(|c| c.is_alphanumeric() || "_-. ".contains(*c)) {
            return;
        }
        let mut wrong = word.clone();
        let mut dice = self.dice(kind, range.start);
        let at = dice.usize(1..word.len());
        match dice.u8(0..3) {
            0 if word[at] != word[at - 1] => wrong.swap(at, at - 1),
            1 if word.len() > 3 => {
                wrong.remove(at);
            }
            _ => wrong.insert(at, word[at]),
        }
        self.put(kind, range, wrong.into_iter().collect::<String>());
    }

    /// The entry with a key, in the table that a name opens, taken out.
    fn line_of_key(&mut self, table: &Name, key: &str, kind: &'static str) {
        let start = table.span.range.end;
        let end = self.text()[start..].find("\n[").map_or(self.text().len(), |at| start + at + 1);
        let found = self.text()[start..end].match_indices('\n').map(|(at, _)| start + at + 1).find(|at| {
            let rest = &self.text()[*at..end];
            rest.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        });
        if let Some(at) = found {
            let lines = self.lines(at..at);
            self.put(kind, lines, "");
        }
    }

    /// The header line of the table that a name opens, and what stands below it, copied into another file.
    fn block(&mut self, kind: &'static str, name: &Name) {
        let start = self.lines(name.span.range.clone()).start;
        let end = self.text()[start..].find("\n[").map_or(self.text().len(), |at| start + at + 1);
        let block = format!("\n{}", &self.text()[start..end]);
        if !block.starts_with("\n[") {
            return;
        }
        let other = self.dice(kind, start).usize(0..self.files.len());
        if other == self.file {
            return;
        }
        let at = self.files[other].text.len();
        let also = Some((self.file, start));
        let edit =
            Edit { kind, file: other, cut: at..at, put: block, also, tables: Tables::Rest, declares: false };
        self.found.entry(kind).or_default().push(edit);
    }

    /// An item of a list or an inline table, taken out with its comma; whole lines if it stands alone.
    fn item(&self, range: Range<usize>) -> Range<usize> {
        let text = self.text().as_bytes();
        let start =
            if range.start > 0 && text[range.start - 1] == b'"' { range.start - 1 } else { range.start };
        let (mut at, mut depth, mut quote) = (start, 0usize, None);
        while at < text.len() {
            let c = text[at];
            match quote {
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None => match c {
                    b'"' | b'\'' => quote = Some(c),
                    b'[' | b'{' | b'(' => depth += 1,
                    b']' | b'}' | b')' if depth == 0 => break,
                    b']' | b'}' | b')' => depth -= 1,
                    b'\n' if depth == 0 => return self.lines(start..at),
                    b',' if depth == 0 => {
                        return start..at + 1 + usize::from(text.get(at + 1) == Some(&b' '));
                    }
                    _ => {}
                },
            }
            at += 1;
        }
        let before = self.text()[..start].trim_end();
        let from = if before.ends_with(',') { before.len() - 1 } else { start };
        from..at
    }

    fn module(&mut self, module: &Module) {
        self.block("duplicate an entry", &module.name);
        if let Some(parent) = &module.extends {
            self.misspell("misspell what is extended", parent);
            // The ancestor that extends nothing, in this file, is made to extend its descendant.
            let source = Arc::clone(&self.files[self.file]);
            if let Some(found) =
                self.registry.modules.get(&parent.text).filter(|found| found.extends.is_none())
                && found.name.span.source == source
            {
                let at = self.lines(found.name.span.range.clone()).end;
                self.put("cycle an extends", at..at, format!("extends = \"{}\"\n", module.name.text));
            }
        }
        for (from, to) in &module.replace {
            self.misspell("misspell a module", to);
            self.misspell("misspell what is replaced", from);
        }
        let entries = [
            (&module.lets, Role::Other, "drop a let"),
            (&module.layers, Role::Layer, "drop a layer"),
            (&module.params, Role::Shape, "drop a tensor"),
            (&module.buffers, Role::Shape, "drop a tensor"),
            (&module.tied, Role::Other, ""),
            (&module.stored, Role::Stored, ""),
            (&module.types, Role::Other, ""),
        ];
        for (entries, role, drop) in entries {
            for (name, code) in entries {
                if !drop.is_empty() {
                    let lines = self.lines(name.span.range.start..code.span.range.end);
                    self.put(drop, lines, "");
                    let rename = if role == Role::Other { "rename a let" } else { "rename a layer" };
                    self.misspell(rename, name);
                }
                self.code(module, code, role, &BTreeSet::new());
            }
        }
        for code in module.args.iter().flatten() {
            let item = self.item(code.span.range.clone());
            self.put("drop an argument of a module", item, "");
        }
        let forward = module.inputs.iter().flatten();
        for code in forward.chain(module.methods.iter().flat_map(|(_, method)| &method.inputs)) {
            let item = self.item(code.span.range.clone());
            self.put("drop an input", item, "");
            let start = code.span.range.start;
            let name = code.text.split('=').next().unwrap_or_default().trim_end();
            self.misspell_range("misspell an input", start..start + name.len());
        }
        for (name, method) in &module.methods {
            let inputs = if name.text == "forward" {
                module.inputs.as_deref()
            } else {
                Some(method.inputs.as_slice())
            };
            let mut locals: BTreeSet<String> = BTreeSet::new();
            for code in inputs.into_iter().flatten() {
                locals.insert(code.text.split('=').next().unwrap_or_default().trim().to_owned());
            }
            self.code(module, &method.body, Role::Body, &locals);
        }
    }

    /// The edits of a piece of code.
    fn code(&mut self, module: &Module, code: &Code, role: Role, inputs: &BTreeSet<String>) {
        let base = code.span.range.start;
        // A text with escapes has other offsets than the file.
        if code.span.text() != code.text {
            return;
        }
        let place = |range: &Range<u32>| base + range.start as usize..base + range.end as usize;
        let mut exprs: Vec<Expr> = Vec::new();
        if role == Role::Body {
            let Ok(body) = parse::body(code) else { return };
            self.statements(&body, base);
            let mut keep = |expr: &Expr| exprs.push(expr.clone());
            each_in(&body, &mut keep);
        } else {
            let Ok(expr) = parse::expression(code) else { return };
            expr.each(&mut |expr| exprs.push(expr.clone()));
        }
        let fields: BTreeSet<&str> = self
            .registry
            .configs
            .values()
            .flat_map(|table| table.fields.keys())
            .map(String::as_str)
            .collect();
        let own: BTreeSet<&str> = [&module.layers, &module.params, &module.buffers, &module.lets]
            .into_iter()
            .flatten()
            .map(|(name, _)| name.text.as_str())
            .collect();
        let is_field = |name: &str| fields.contains(name) && !own.contains(name) && !inputs.contains(name);
        for expr in &exprs {
            let at = place(&expr.range);
            match &expr.kind {
                ExprKind::Name(name) if self.registry.modules.contains_key(name) => {
                    self.misspell_range("misspell a module", at);
                }
                ExprKind::Name(name) if inputs.contains(&**name) => {
                    self.misspell_range("misspell an input where it is read", at);
                }
                ExprKind::Name(name) if own.contains(&**name) => {
                    self.misspell_range("misspell a layer where it is used", at);
                }
                ExprKind::Name(name) if is_field(name) => {
                    self.misspell_range("misspell a config field", at);
                }
                ExprKind::Name(name) if role == Role::Body && ops::find(name).is_some() => {
                    self.misspell_range("misspell an op", at);
                }
                ExprKind::Name(name) if role == Role::Body && !functions().any(|known| known == &**name) => {
                    self.misspell_range("misspell a local name", at);
                }
                ExprKind::Const(Const::Int(number)) => {
                    let kind = match role {
                        Role::Body => "change a number in a body",
                        Role::Stored => "change how it is stored",
                        _ => "change a number in a layer",
                    };
                    self.put(kind, at, (number + 1).to_string());
                }
                ExprKind::List(items) if role == Role::Shape => self.swap("swap two dimensions", items, base),
                ExprKind::Call(callee, arguments, named) => {
                    self.call(callee, arguments, named, at, role, base);
                }
                _ => {}
            }
        }
    }

    fn call(
        &mut self,
        callee: &Expr,
        arguments: &[Expr],
        named: &[(Arc<str>, Expr)],
        at: Range<usize>,
        role: Role,
        base: usize,
    ) {
        let place = |range: &Range<u32>| base + range.start as usize..base + range.end as usize;
        let named_callee = match &callee.kind {
            ExprKind::Name(name) => Some(&**name),
            _ => None,
        };
        match role {
            Role::Layer => self.swap("swap two dimensions", arguments, base),
            Role::Stored => self.swap("change how it is stored", arguments, base),
            Role::Body => self.swap("swap two arguments", arguments, base),
            _ => {}
        }
        if matches!(role, Role::Layer | Role::Body) {
            if let [first, .., last] = arguments {
                let before = place(&arguments[arguments.len() - 2].range);
                self.put("drop an argument", before.end..place(&last.range).end, "");
                let again = self.text()[place(&first.range)].to_owned();
                let end = place(&last.range).end;
                self.put("add an argument", end..end, format!(", {again}"));
            }
            for (_, value) in named {
                let value = place(&value.range);
                let keyword = self.text()[at.start..value.start].trim_end().trim_end_matches('=').trim_end();
                let start =
                    keyword.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |found| found + 1);
                let range = at.start + start..at.start + keyword.len();
                self.misspell_range("misspell a keyword", range);
            }
            if let (Some("rearrange" | "repeat"), Some(pattern)) = (named_callee, arguments.get(1)) {
                let range = place(&pattern.range);
                let text = self.text()[range.clone()].to_owned();
                let letters: Vec<usize> = text
                    .char_indices()
                    .filter(|(_, c)| c.is_ascii_lowercase())
                    .map(|(index, _)| index)
                    .collect();
                if let Some(index) = self.dice("a letter", range.start).choice(&letters) {
                    let letter = range.start + index..range.start + index + 1;
                    self.put("change a letter of a pattern", letter, "z");
                }
            }
        }
    }

    /// Two neighbours that are written differently, swapped.
    fn swap(&mut self, kind: &'static str, items: &[Expr], base: usize) {
        for pair in items.windows(2) {
            let [a, b] =
                [&pair[0].range, &pair[1].range].map(|r| base + r.start as usize..base + r.end as usize);
            let text = self.text();
            let put = [&text[b.clone()], &text[a.end..b.start], &text[a.clone()]].concat();
            self.put(kind, a.start..b.end, put);
        }
    }

    fn statements(&mut self, body: &[Stmt], base: usize) {
        for statement in body {
            let range = base + statement.range.start as usize..base + statement.range.end as usize;
            match &statement.kind {
                StmtKind::Return(Some(value)) => {
                    let value_at = base + value.range.start as usize;
                    self.put("remove a return", range.start..value_at, "");
                    if let ExprKind::Dict(entries) = &value.kind {
                        for (key, _) in entries {
                            let at = base + key.range.start as usize + 1..base + key.range.end as usize - 1;
                            self.misspell_range("misspell an output", at);
                        }
                    }
                }
                StmtKind::Assign(..) | StmtKind::Augment(..) if body.len() > 1 => {
                    let lines = self.lines(range);
                    self.put("drop a statement", lines, "");
                }
                StmtKind::For(_, _, inner) => self.statements(inner, base),
                StmtKind::If(branches) => branches.iter().for_each(|(_, inner)| self.statements(inner, base)),
                _ => {}
            }
        }
    }

    fn config(&mut self, table: &ConfigTable) {
        self.block("duplicate an entry", &table.name);
        if let Some(parent) = &table.extends {
            self.misspell("misspell what is extended", parent);
        }
        for field in table.fields.values() {
            self.misspell_range("misspell a declared field", field.span.range.clone());
            let item = self.item(field.span.range.clone());
            self.put("drop a declared field", item, "");
            if let Fallback::Derived(code) = &field.fallback {
                let Ok(expr) = parse::expression(code) else { continue };
                if code.span.text() != code.text {
                    continue;
                }
                let base = code.span.range.start;
                expr.each(&mut |expr| {
                    if let ExprKind::Name(name) = &expr.kind
                        && table.fields.contains_key(&**name)
                    {
                        let at = base + expr.range.start as usize..base + expr.range.end as usize;
                        self.misspell_range("misspell a config field", at);
                    }
                });
            }
        }
    }

    /// Keys of tables, closing quotes and brackets: what makes a file readable at all.
    fn keys(&mut self) {
        let text = self.text().to_owned();
        let mut offset = 0;
        let mut code = false;
        for line in text.split_inclusive('\n') {
            let start = offset;
            offset += line.len();
            let inside = code;
            code ^= line.matches("'''").count() % 2 == 1;
            if inside || line.starts_with(['#', '\n']) {
                continue;
            }
            let key = line.split(['=', '.', ' ', ']']).next().unwrap_or_default();
            let known = [
                "layers",
                "params",
                "inputs",
                "forward",
                "extends",
                "args",
                "required",
                "defaults",
                "derived",
                "sample",
                "category",
                "task",
                "model-types",
                "priority",
                "when",
                "id",
                "replace",
                "lets",
            ];
            if known.contains(&key) {
                self.misspell_range("misspell a key", start..start + key.len());
            }
            let trimmed = line.trim_end();
            let header = line.starts_with('[') && trimmed.ends_with(']');
            if header || trimmed.ends_with('"') && line.contains(" = \"") {
                self.put("break the syntax of a file", start + trimmed.len() - 1..start + trimmed.len(), "");
            }
            let value = line.find("= \"").map(|at| start + at + 2);
            if let (Some(at), true) = (value, trimmed.ends_with('"')) {
                self.put("give a value of another type", at..start + trimmed.len(), "3");
                if let Some(closing) = line.rfind(")\"") {
                    self.put("break the syntax of code", start + closing..start + closing + 1, "");
                }
            }
        }
    }

    fn names_and_rules(&mut self, own: &Registry) {
        for alias in own.rules.all_aliases().into_values() {
            self.misspell("dangle an alias", &alias.target);
        }
        for model_type in own.rules.all_model_types().into_values() {
            self.misspell("dangle a model type", &model_type.architecture);
        }
        for name in own.rules.all_known().into_values() {
            let lines = self.lines(name.name.span.range.clone());
            let copy = self.text()[lines.clone()].to_owned();
            self.put("duplicate a name", lines.end..lines.end, copy);
        }
        for (id, rule) in &own.rules.rules {
            self.misspell("misspell a category", &rule.category);
            let lines = self.lines(rule.id.span.range.clone());
            self.put("drop a required key", lines, "");
            for key in ["priority", "category", "why"] {
                self.line_of_key(&rule.id, key, "drop a required key");
            }
            let after = rule.id.span.range.end;
            let Some(at) = self.text()[after..].find("priority = ").map(|at| after + at + 11) else {
                continue;
            };
            let end = at + self.text()[at..].find('\n').unwrap_or(0);
            let others = self.registry.rules.rules.iter().filter(|(other, found)| {
                *other != id && found.category.text != rule.category.text && found.priority != rule.priority
            });
            let priorities: Vec<i64> = others.map(|(_, found)| found.priority).collect();
            for priority in priorities {
                self.put("change a priority to a tie", at..end, priority.to_string());
            }
        }
        if own.rules.rules.is_empty() && own.rules.repairs.is_empty() && own.rules.tokenizers.is_empty() {
            return;
        }
        for (mark, broken) in [("matches = \"", "("), ("file = [\"", "["), ("tensor = [\"", "{")] {
            let places: Vec<usize> =
                self.text().match_indices(mark).map(|(at, found)| at + found.len()).collect();
            for at in places {
                self.put("break a pattern", at..at, broken);
            }
        }
    }
}
