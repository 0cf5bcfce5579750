//! The tree of a definition as text: a line a layer, cut to the width that there is.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};
use indicatif::HumanCount;

use crate::graph::{Graph, Node, Tensor};

/// How the tree is drawn.
#[derive(Debug)]
pub(crate) struct Look {
    /// The columns that there are; as many as it takes, if `None`.
    pub(crate) width: Option<usize>,
    /// How many levels are shown.
    pub(crate) depth: usize,
    /// Whether colours are understood.
    pub(crate) colour: bool,
}

const PLAIN: Style = Style::new();
const LINE: Style = Style::new().dimmed();
const NAME: Style = Style::new().bold();
const MODULE: Style = AnsiColor::Cyan.on_default();
const TENSOR: Style = AnsiColor::Green.on_default();
const OUTPUT: Style = Style::new().dimmed();

/// A line: what stands on the left, in pieces, and the count on the right.
struct Row {
    pieces: Vec<(Style, String)>,
    count: String,
}

/// The whole text.
pub(crate) fn draw(graph: &Graph, look: &Look) -> String {
    let mut rows = Vec::new();
    collect(&graph.root, "", "", look.depth, &mut rows);
    let count = rows.iter().map(|row| row.count.chars().count()).max().unwrap_or_default();
    let natural = rows.iter().map(Row::width).max().unwrap_or_default();
    let left = look.width.map_or(natural, |width| natural.min(width.saturating_sub(count + 2)));
    let mut text = String::new();
    for row in &rows {
        row.write(&mut text, left, count, look.colour);
    }
    text.push('\n');
    for method in &graph.methods {
        let list = |values: &[(String, String)]| {
            values.iter().map(|(name, ty)| format!("{name} {ty}")).collect::<Vec<_>>().join(", ")
        };
        let line = format!("{}({}) → {}", method.name, list(&method.inputs), list(&method.outputs));
        let _ = writeln!(text, "{}", cut(&line, look.width.unwrap_or(usize::MAX)));
    }
    let buffers = match graph.buffers {
        0 => String::new(),
        count => format!(", and {} numbers that are never trained", HumanCount(count)),
    };
    let tensors = if graph.tensors == 1 { "tensor" } else { "tensors" };
    let total =
        format!("{} parameters in {} {tensors}{buffers}", HumanCount(graph.parameters), graph.tensors);
    text + &total + "\n"
}

fn collect(node: &Node, before: &str, below: &str, depth: usize, rows: &mut Vec<Row>) {
    let mut pieces = vec![(LINE, before.to_owned()), (NAME, node.name.clone())];
    if !node.repeats.is_empty() {
        pieces.push((PLAIN, format!(" ×{}", node.repeats.len())));
    }
    // The root is called as its module mostly is.
    if let Some(module) = node.module.as_ref().filter(|module| **module != node.name) {
        pieces.push((MODULE, format!("  {module}")));
    }
    let tensors: Vec<String> = node.tensors.iter().map(tensor).collect();
    if !tensors.is_empty() {
        pieces.push((TENSOR, format!("  {}", tensors.join(", "))));
    }
    if let Some(output) = &node.output {
        pieces.push((OUTPUT, format!("  → {output}")));
    }
    rows.push(Row { pieces, count: HumanCount(node.parameters).to_string() });
    if depth <= 1 {
        return;
    }
    for (index, child) in node.children.iter().enumerate() {
        let is_last = index + 1 == node.children.len();
        let (corner, line) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        collect(child, &format!("{below}{corner}"), &format!("{below}{line}"), depth - 1, rows);
    }
}

fn tensor(tensor: &Tensor) -> String {
    let tied = tensor.tied_to.as_ref().map(|name| format!(" = {name}")).unwrap_or_default();
    format!("{} {:?}{tied}", tensor.name, tensor.shape)
}

impl Row {
    fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.chars().count()).sum()
    }

    fn write(&self, out: &mut String, left: usize, count: usize, colour: bool) {
        let whole = self.width() <= left;
        // Where something is cut, the last column is the mark's.
        let mut room = if whole { left } else { left.saturating_sub(1) };
        for (style, text) in &self.pieces {
            let part: String = text.chars().take(room).collect();
            room -= part.chars().count();
            if colour && *style != PLAIN && !part.is_empty() {
                let _ = write!(out, "{style}{part}{style:#}");
            } else {
                out.push_str(&part);
            }
        }
        let mark = if whole { "" } else { "…" };
        let _ = writeln!(out, "{mark}{}  {:>count$}", " ".repeat(room), self.count);
    }
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
