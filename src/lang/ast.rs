//! The syntax tree of the module language: the part of Python that it knows.
//!
//! Ranges are byte offsets in the text parsed. Absent on purpose: whatever could fail to end (functions,
//! `while`), and whatever reaches outside (imports, attributes of the host).

use std::ops::Range;
use std::sync::Arc;

use crate::ops::Const;

/// Bytes of the text that was parsed.
pub type TextRange = Range<u32>;

/// A name or an expression, with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// Its place.
    pub range: TextRange,
    /// What it is.
    pub kind: ExprKind,
}

impl Expr {
    /// Whether it is `fail(…)`, which refuses a config.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(&self.kind, ExprKind::Call(callee, ..)
            if matches!(&callee.kind, ExprKind::Name(name) if &**name == "fail"))
    }

    /// Visits the expression and everything in it, outer ones first.
    pub fn each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match &self.kind {
            ExprKind::Name(_) | ExprKind::Const(_) | ExprKind::Ellipsis => {}
            ExprKind::List(items) | ExprKind::And(items) | ExprKind::Or(items) => {
                items.iter().for_each(|item| item.each(visit));
            }
            ExprKind::Dict(entries) => entries.iter().for_each(|(key, value)| {
                key.each(visit);
                value.each(visit);
            }),
            ExprKind::Unary(_, value) | ExprKind::Attribute(value, _) => value.each(visit),
            ExprKind::Binary(_, left, right) | ExprKind::Subscript(left, right) => {
                left.each(visit);
                right.each(visit);
            }
            ExprKind::Compare(first, rest) => {
                first.each(visit);
                rest.iter().for_each(|(_, value)| value.each(visit));
            }
            ExprKind::IfElse(test, then, other) => {
                test.each(visit);
                then.each(visit);
                other.each(visit);
            }
            ExprKind::Call(callee, arguments, named) => {
                callee.each(visit);
                arguments.iter().for_each(|argument| argument.each(visit));
                named.iter().for_each(|(_, argument)| argument.each(visit));
            }
            ExprKind::Slice(start, stop, step) => {
                [start, stop, step].into_iter().flatten().for_each(|bound| bound.each(visit));
            }
            ExprKind::Comprehension(element, clauses) => {
                element.each(visit);
                for Clause { iter, conditions, .. } in clauses {
                    iter.each(visit);
                    conditions.iter().for_each(|condition| condition.each(visit));
                }
            }
        }
    }
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A name.
    Name(Arc<str>),
    /// A number, text, truth value or `None`.
    Const(Const),
    /// `...` in an index.
    Ellipsis,
    /// A list or a tuple.
    List(Vec<Expr>),
    /// A dictionary; keys are expressions that give text.
    Dict(Vec<(Expr, Expr)>),
    /// `-x`, `not x`, `~x`, `+x`.
    Unary(UnaryOp, Box<Expr>),
    /// Arithmetic.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a and b and …`.
    And(Vec<Expr>),
    /// `a or b or …`.
    Or(Vec<Expr>),
    /// `a < b <= c`.
    Compare(Box<Expr>, Vec<(CompareOp, Expr)>),
    /// `a if condition else b`: condition, then, else.
    IfElse(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A call: what, positional arguments, named arguments.
    Call(Box<Expr>, Vec<Expr>, Vec<(Arc<str>, Expr)>),
    /// `x.name`.
    Attribute(Box<Expr>, Arc<str>),
    /// `x[…]`.
    Subscript(Box<Expr>, Box<Expr>),
    /// `a:b:c` in an index.
    Slice(Option<Box<Expr>>, Option<Box<Expr>>, Option<Box<Expr>>),
    /// `[element for … in … if …]`.
    Comprehension(Box<Expr>, Vec<Clause>),
}

/// `for target in iter if condition …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    /// What each item is bound to.
    pub target: Target,
    /// What is walked over.
    pub iter: Expr,
    /// What an item must fulfil.
    pub conditions: Vec<Expr>,
}

/// What a value is bound to.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A name.
    Name(Arc<str>, TextRange),
    /// Several, unpacked.
    Unpack(Vec<Target>, TextRange),
}

/// A statement with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    /// Its place.
    pub range: TextRange,
    /// What it is.
    pub kind: StmtKind,
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq)]
pub enum StmtKind {
    /// `target = value`, one or more targets.
    Assign(Vec<Target>, Expr),
    /// `name += value`.
    Augment(Arc<str>, BinaryOp, Expr),
    /// `for target in iter:`.
    For(Target, Expr, Vec<Stmt>),
    /// `if … elif … else`: the last condition may be absent.
    If(Vec<(Option<Expr>, Vec<Stmt>)>),
    /// `return value`.
    Return(Option<Expr>),
    /// An expression for its own sake: `fail("…")`.
    Expr(Expr),
    /// `pass`.
    Pass,
}

/// Visits every expression in statements.
pub fn each_in(body: &[Stmt], visit: &mut dyn FnMut(&Expr)) {
    for statement in body {
        match &statement.kind {
            StmtKind::Assign(_, value) | StmtKind::Augment(_, _, value) | StmtKind::Expr(value) => {
                value.each(visit);
            }
            StmtKind::Return(value) => value.iter().for_each(|value| value.each(visit)),
            StmtKind::For(_, iter, body) => {
                iter.each(visit);
                each_in(body, visit);
            }
            StmtKind::If(branches) => {
                for (test, body) in branches {
                    test.iter().for_each(|test| test.each(visit));
                    each_in(body, visit);
                }
            }
            StmtKind::Pass => {}
        }
    }
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the Python operator of that name")]
pub enum UnaryOp {
    Neg,
    Pos,
    Not,
    Invert,
}

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the Python operator of that name")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    MatMul,
    BitOr,
    BitAnd,
    BitXor,
}

impl BinaryOp {
    /// The operator as written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "**",
            Self::MatMul => "@",
            Self::BitOr => "|",
            Self::BitAnd => "&",
            Self::BitXor => "^",
        }
    }

    /// The op that does it to tensors.
    #[must_use]
    pub fn op(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::FloorDiv => "floordiv",
            Self::Mod => "mod",
            Self::Pow => "pow",
            Self::MatMul => "matmul",
            Self::BitOr => "logical_or",
            Self::BitAnd => "logical_and",
            Self::BitXor => "ne",
        }
    }
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the Python operator of that name")]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
    Is,
    IsNot,
}

impl CompareOp {
    /// The op that does it to tensors.
    #[must_use]
    pub fn op(self) -> Option<&'static str> {
        Some(match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::In | Self::NotIn | Self::Is | Self::IsNot => return None,
        })
    }
}
