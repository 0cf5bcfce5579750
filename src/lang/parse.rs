//! Text to syntax tree, through ruff's Python parser; the only file that knows it.
//!
//! Whatever Python has and the module language has not is refused here, by name and place.

use std::sync::Arc;

use ruff_python_ast as py;
use ruff_text_size::{Ranged, TextRange as PyRange};

use super::ast::{BinaryOp, Clause, CompareOp, Expr, ExprKind, Stmt, StmtKind, Target, TextRange, UnaryOp};
use crate::diag::{Problem, Span};
use crate::ops::Const;
use crate::registry::Code;

/// Longer texts are refused: no definition needs them, and the parser's time grows with them.
const MAX_BYTES: usize = 32 * 1024;

/// Deeper nesting is refused before the parser sees it, since it recurses.
const MAX_NESTING: usize = 100;

/// The words that nest without brackets may occur this often.
const MAX_WORDS: usize = 400;

/// Operators that group to the left may build a tree this deep.
const MAX_TREE: usize = 400;

/// An expression.
///
/// # Errors
/// What is not an expression of the language, at its place.
pub fn expression(code: &Code) -> Result<Expr, Problem> {
    check_size(code)?;
    let parsed =
        ruff_python_parser::parse_expression(&code.text).map_err(|error| syntax_error(code, &error))?;
    Reader(code, std::cell::Cell::new(0)).expr(&parsed.into_syntax().body)
}

/// The statements of a body.
///
/// # Errors
/// What is no statement of the language, at its place.
pub fn body(code: &Code) -> Result<Vec<Stmt>, Problem> {
    check_size(code)?;
    grow(|| {
        let parsed =
            ruff_python_parser::parse_module(&code.text).map_err(|error| syntax_error(code, &error))?;
        Reader(code, std::cell::Cell::new(0)).body(&parsed.into_syntax().body)
    })
}

/// The name of a parameter: `name` or `name=default`, whose default is another piece of code.
///
/// # Errors
/// If it is neither.
pub fn parameter(code: &Code) -> Result<Arc<str>, Problem> {
    let name = code.text.split('=').next().unwrap_or_default().trim();
    let is_name = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_name {
        let problem = Problem::error("syntax", code.span.clone(), format!("`{}` is no parameter", code.text));
        return Err(problem.help("write `name` or `name=default`"));
    }
    Ok(Arc::from(name))
}

/// Runs something that recurses, on more stack if little is left: small threads parse as well as the main one.
pub(super) fn grow<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(512 * 1024, 4 * 1024 * 1024, run)
}

fn check_size(code: &Code) -> Result<(), Problem> {
    if code.text.len() > MAX_BYTES {
        let message = format!("{} bytes of code, expected at most {MAX_BYTES}", code.text.len());
        // Shown whole, the report would be as long.
        let first = code.text.trim_start().lines().next().map_or(0, str::len);
        let start = code.span.range.start + (code.text.len() - code.text.trim_start().len());
        let end = (start + first.min(80)).min(code.span.range.end);
        return Err(Problem::error("code-too-large", Span::new(&code.span.source, start..end), message));
    }
    for word in ["not", "else", "lambda", "await"] {
        // Most texts are too short for it.
        if code.text.len() > MAX_WORDS * word.len() && code.text.matches(word).count() > MAX_WORDS {
            let message = format!("`{word}` more than {MAX_WORDS} times in one piece of code");
            return Err(Problem::error("code-too-deep", code.span.clone(), message));
        }
    }
    // Most texts have too few of what nests.
    let nests = |byte: &u8| matches!(byte, b'(' | b'[' | b'{' | b'-' | b'+' | b'~' | b'*');
    if code.text.as_bytes().iter().filter(|byte| nests(byte)).count() <= MAX_NESTING {
        return Ok(());
    }
    let mut depth = 0usize;
    let mut run = 0usize;
    for byte in code.text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        // Chains of unary operators and powers nest as deeply as brackets do.
        run = if matches!(byte, b'-' | b'+' | b'~' | b'*') { run + 1 } else { 0 };
        if depth > MAX_NESTING || run > MAX_NESTING {
            let message = format!("brackets or operators nested more than {MAX_NESTING} deep");
            return Err(Problem::error("code-too-deep", code.span.clone(), message));
        }
    }
    Ok(())
}

fn syntax_error(code: &Code, error: &ruff_python_parser::ParseError) -> Problem {
    let range = place(code, error.location);
    Problem::error("syntax", range, format!("not Python: {}", error.error))
}

fn place(code: &Code, range: PyRange) -> Span {
    let start = code.span.range.start;
    let (from, to) = (start + range.start().to_usize(), start + range.end().to_usize());
    // An empty range at the end of a text still has to show something.
    Span::new(&code.span.source, from.min(code.span.range.end)..to.min(code.span.range.end).max(from))
}

struct Reader<'a>(&'a Code, std::cell::Cell<usize>);

impl Reader<'_> {
    fn refuse<T>(&self, at: impl Ranged, what: &str) -> Result<T, Problem> {
        let problem = Problem::error(
            "not-in-the-language",
            place(self.0, at.range()),
            format!("{what} is not part of the module language"),
        );
        Err(problem
            .help("the language has assignments, if, for over lists, comprehensions, calls and arithmetic"))
    }

    fn body(&self, statements: &[py::Stmt]) -> Result<Vec<Stmt>, Problem> {
        statements.iter().map(|statement| self.stmt(statement)).collect()
    }

    fn stmt(&self, statement: &py::Stmt) -> Result<Stmt, Problem> {
        let kind = match statement {
            py::Stmt::Assign(assign) => {
                let targets =
                    assign.targets.iter().map(|target| self.target(target)).collect::<Result<_, _>>()?;
                StmtKind::Assign(targets, self.expr(&assign.value)?)
            }
            py::Stmt::AugAssign(augment) => {
                let py::Expr::Name(name) = &*augment.target else {
                    return self.refuse(&*augment.target, "augmented assignment to anything but a name");
                };
                let op = self.binary_op(augment.op, statement)?;
                StmtKind::Augment(Arc::from(name.id.as_str()), op, self.expr(&augment.value)?)
            }
            py::Stmt::For(repeat) if repeat.orelse.is_empty() && !repeat.is_async => StmtKind::For(
                self.target(&repeat.target)?,
                self.expr(&repeat.iter)?,
                self.body(&repeat.body)?,
            ),
            py::Stmt::If(branch) => {
                let mut branches = vec![(Some(self.expr(&branch.test)?), self.body(&branch.body)?)];
                for clause in &branch.elif_else_clauses {
                    let test = clause.test.as_ref().map(|test| self.expr(test)).transpose()?;
                    branches.push((test, self.body(&clause.body)?));
                }
                StmtKind::If(branches)
            }
            py::Stmt::Return(value) => {
                StmtKind::Return(value.value.as_ref().map(|value| self.expr(value)).transpose()?)
            }
            py::Stmt::Expr(expr) => StmtKind::Expr(self.expr(&expr.value)?),
            py::Stmt::Pass(_) => StmtKind::Pass,
            py::Stmt::While(_) => return self.refuse(statement, "`while`"),
            py::Stmt::FunctionDef(_) => return self.refuse(statement, "`def`"),
            py::Stmt::ClassDef(_) => return self.refuse(statement, "`class`"),
            py::Stmt::Import(_) | py::Stmt::ImportFrom(_) => return self.refuse(statement, "`import`"),
            _ => return self.refuse(statement, "this statement"),
        };
        Ok(Stmt { range: range(statement), kind })
    }

    fn target(&self, target: &py::Expr) -> Result<Target, Problem> {
        match target {
            py::Expr::Name(name) => Ok(Target::Name(Arc::from(name.id.as_str()), range(target))),
            py::Expr::Tuple(py::ExprTuple { elts, .. }) | py::Expr::List(py::ExprList { elts, .. }) => {
                let targets = elts.iter().map(|element| self.target(element)).collect::<Result<_, _>>()?;
                Ok(Target::Unpack(targets, range(target)))
            }
            _ => self.refuse(target, "assignment to anything but names"),
        }
    }

    fn exprs<'e>(&self, items: impl IntoIterator<Item = &'e py::Expr>) -> Result<Vec<Expr>, Problem> {
        items.into_iter().map(|item| self.expr(item)).collect()
    }

    fn boxed(&self, expr: &py::Expr) -> Result<Box<Expr>, Problem> {
        self.expr(expr).map(Box::new)
    }

    fn expr(&self, expr: &py::Expr) -> Result<Expr, Problem> {
        self.1.set(self.1.get() + 1);
        if self.1.get() > MAX_TREE {
            let message = format!("an expression nested more than {MAX_TREE} deep");
            return Err(Problem::error("code-too-deep", place(self.0, expr.range()), message));
        }
        let read = grow(|| self.read(expr));
        self.1.set(self.1.get() - 1);
        read
    }

    fn read(&self, expr: &py::Expr) -> Result<Expr, Problem> {
        let kind = match expr {
            py::Expr::Name(name) => ExprKind::Name(Arc::from(name.id.as_str())),
            py::Expr::NumberLiteral(number) => ExprKind::Const(match &number.value {
                py::Number::Int(value) => match value.as_i64() {
                    Some(value) => Const::Int(value),
                    None => return self.refuse(expr, "a number beyond 64 bits"),
                },
                py::Number::Float(value) => Const::Float(*value),
                py::Number::Complex { .. } => return self.refuse(expr, "a complex number"),
            }),
            py::Expr::StringLiteral(text) => ExprKind::Const(Const::str(text.value.to_str())),
            py::Expr::BooleanLiteral(value) => ExprKind::Const(Const::Bool(value.value)),
            py::Expr::NoneLiteral(_) => ExprKind::Const(Const::None),
            py::Expr::EllipsisLiteral(_) => ExprKind::Ellipsis,
            py::Expr::List(list) => ExprKind::List(self.exprs(&list.elts)?),
            py::Expr::Tuple(tuple) => ExprKind::List(self.exprs(&tuple.elts)?),
            py::Expr::Dict(dict) => {
                let mut entries = Vec::new();
                for item in &dict.items {
                    let Some(key) = &item.key else { return self.refuse(expr, "`**` in a dictionary") };
                    entries.push((self.expr(key)?, self.expr(&item.value)?));
                }
                ExprKind::Dict(entries)
            }
            py::Expr::UnaryOp(unary) => {
                let op = match unary.op {
                    py::UnaryOp::USub => UnaryOp::Neg,
                    py::UnaryOp::UAdd => UnaryOp::Pos,
                    py::UnaryOp::Not => UnaryOp::Not,
                    py::UnaryOp::Invert => UnaryOp::Invert,
                };
                ExprKind::Unary(op, self.boxed(&unary.operand)?)
            }
            py::Expr::BinOp(binary) => {
                let op = self.binary_op(binary.op, expr)?;
                ExprKind::Binary(op, self.boxed(&binary.left)?, self.boxed(&binary.right)?)
            }
            py::Expr::BoolOp(logic) => {
                let values = self.exprs(&logic.values)?;
                match logic.op {
                    py::BoolOp::And => ExprKind::And(values),
                    py::BoolOp::Or => ExprKind::Or(values),
                }
            }
            py::Expr::Compare(compare) => {
                let mut rest = Vec::new();
                for (op, right) in compare.ops.iter().zip(&compare.comparators) {
                    rest.push((compare_op(*op), self.expr(right)?));
                }
                ExprKind::Compare(self.boxed(&compare.left)?, rest)
            }
            py::Expr::If(choice) => ExprKind::IfElse(
                self.boxed(&choice.test)?,
                self.boxed(&choice.body)?,
                self.boxed(&choice.orelse)?,
            ),
            py::Expr::Call(call) => {
                let mut named = Vec::new();
                for keyword in &call.arguments.keywords {
                    let Some(name) = &keyword.arg else { return self.refuse(keyword, "`**` in a call") };
                    named.push((Arc::from(name.as_str()), self.expr(&keyword.value)?));
                }
                ExprKind::Call(self.boxed(&call.func)?, self.exprs(&call.arguments.args)?, named)
            }
            py::Expr::Attribute(attribute) => {
                ExprKind::Attribute(self.boxed(&attribute.value)?, Arc::from(attribute.attr.as_str()))
            }
            py::Expr::Subscript(subscript) => {
                ExprKind::Subscript(self.boxed(&subscript.value)?, self.boxed(&subscript.slice)?)
            }
            py::Expr::Slice(slice) => {
                let part =
                    |part: &Option<Box<py::Expr>>| part.as_ref().map(|part| self.boxed(part)).transpose();
                ExprKind::Slice(part(&slice.lower)?, part(&slice.upper)?, part(&slice.step)?)
            }
            py::Expr::ListComp(list) => {
                ExprKind::Comprehension(self.boxed(&list.elt)?, self.clauses(&list.generators)?)
            }
            py::Expr::Generator(generator) => {
                ExprKind::Comprehension(self.boxed(&generator.elt)?, self.clauses(&generator.generators)?)
            }
            py::Expr::FString(_) => return self.refuse(expr, "an f-string"),
            py::Expr::Lambda(_) => return self.refuse(expr, "`lambda`"),
            py::Expr::Starred(_) => return self.refuse(expr, "`*`"),
            py::Expr::Named(_) => return self.refuse(expr, "`:=`"),
            _ => return self.refuse(expr, "this expression"),
        };
        Ok(Expr { range: range(expr), kind })
    }

    fn clauses(&self, generators: &[py::Comprehension]) -> Result<Vec<Clause>, Problem> {
        let clause = |generator: &py::Comprehension| {
            Ok(Clause {
                target: self.target(&generator.target)?,
                iter: self.expr(&generator.iter)?,
                conditions: self.exprs(&generator.ifs)?,
            })
        };
        generators.iter().map(clause).collect()
    }

    fn binary_op(&self, op: py::Operator, at: impl Ranged) -> Result<BinaryOp, Problem> {
        Ok(match op {
            py::Operator::Add => BinaryOp::Add,
            py::Operator::Sub => BinaryOp::Sub,
            py::Operator::Mult => BinaryOp::Mul,
            py::Operator::Div => BinaryOp::Div,
            py::Operator::FloorDiv => BinaryOp::FloorDiv,
            py::Operator::Mod => BinaryOp::Mod,
            py::Operator::Pow => BinaryOp::Pow,
            py::Operator::MatMult => BinaryOp::MatMul,
            py::Operator::BitOr => BinaryOp::BitOr,
            py::Operator::BitAnd => BinaryOp::BitAnd,
            py::Operator::BitXor => BinaryOp::BitXor,
            py::Operator::LShift | py::Operator::RShift => return self.refuse(at, "a shift"),
        })
    }
}

fn compare_op(op: py::CmpOp) -> CompareOp {
    match op {
        py::CmpOp::Eq => CompareOp::Eq,
        py::CmpOp::NotEq => CompareOp::Ne,
        py::CmpOp::Lt => CompareOp::Lt,
        py::CmpOp::LtE => CompareOp::Le,
        py::CmpOp::Gt => CompareOp::Gt,
        py::CmpOp::GtE => CompareOp::Ge,
        py::CmpOp::In => CompareOp::In,
        py::CmpOp::NotIn => CompareOp::NotIn,
        py::CmpOp::Is => CompareOp::Is,
        py::CmpOp::IsNot => CompareOp::IsNot,
    }
}

fn range(at: impl Ranged) -> TextRange {
    at.start().to_u32()..at.end().to_u32()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;

    fn code(text: &str) -> Code {
        let source = Source::new("test.toml", text);
        Code { text: text.to_owned(), span: Span::new(&source, 0..text.len()) }
    }

    fn refusal(text: &str) -> String {
        body(&code(text)).expect_err("not in the language").to_string()
    }

    #[test]
    fn what_python_has_and_the_language_has_not_is_refused_by_name() {
        let refused =
            ["while True:\n    pass", "def f(): pass", "import os", "f'{x}'", "x = lambda: 1", "x[0] = 1"];
        insta::assert_snapshot!(refused.map(refusal).join("\n"));
    }

    #[test]
    fn a_syntax_error_points_at_its_place() {
        assert_eq!(refusal("x = (1 +\n"), "test.toml:2:1: not Python: unexpected EOF while parsing");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_can_overflow_the_stack() {
        let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert_eq!(expression(&code(&deep)).expect_err("too deep").code, "code-too-deep");
        let deep = format!("x = 1{}", " + 1".repeat(5_000));
        assert_eq!(body(&code(&deep)).expect_err("too deep").code, "code-too-deep");
        let deep = format!("x = {}1", "not ".repeat(5_000));
        assert_eq!(body(&code(&deep)).expect_err("too deep").code, "code-too-deep");
        let deep = format!("x = {}1", "-".repeat(5_000));
        assert_eq!(body(&code(&deep)).expect_err("too deep").code, "code-too-deep");
    }

    #[test]
    fn a_parameter_has_a_name() {
        assert_eq!(&*parameter(&code("bias=True")).expect("a parameter"), "bias");
        assert_eq!(&*parameter(&code("x")).expect("a parameter"), "x");
        assert!(parameter(&code("1x")).is_err());
    }
}
