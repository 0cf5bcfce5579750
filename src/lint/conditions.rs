//! What can be told about conditions without a directory: which contradict themselves, each other, or imply another.
//!
//! A condition becomes alternatives of literals; two literals conflict where no directory can fulfil both. What is not
//! certain is taken to be possible.

use crate::registry::rules::{Ask, Condition, ConfigTest, NameTest, Rules, Test};

/// Conditions with more alternatives than this are not judged.
const MOST: usize = 256;

/// A question and whether it must be answered by yes.
pub(super) type Literal<'a> = (&'a Test, bool);

/// The ways in which a condition can hold; `None` if there are too many to judge.
pub(super) fn alternatives(condition: &Condition) -> Option<Vec<Vec<Literal<'_>>>> {
    expand(&condition.test, true)
}

fn expand(test: &Test, holds: bool) -> Option<Vec<Vec<Literal<'_>>>> {
    match (test, holds) {
        (Test::Not(inner), _) => expand(&inner.test, !holds),
        (Test::All(parts), true) | (Test::Any(parts), false) => {
            let mut product: Vec<Vec<Literal<'_>>> = vec![Vec::new()];
            for part in parts {
                let options = expand(&part.test, holds)?;
                if product.len() * options.len() > MOST {
                    return None;
                }
                product = product
                    .iter()
                    .flat_map(|so_far| options.iter().map(move |option| [so_far.as_slice(), option].concat()))
                    .collect();
            }
            Some(product)
        }
        (Test::Any(parts), true) | (Test::All(parts), false) => {
            let mut sum = Vec::new();
            for part in parts {
                sum.extend(expand(&part.test, holds)?);
            }
            (sum.len() <= MOST).then_some(sum)
        }
        (leaf, _) => Some(vec![vec![(leaf, holds)]]),
    }
}

/// Whether no directory can fulfil all of the literals.
pub(super) fn is_impossible(rules: &Rules, literals: &[Literal<'_>]) -> bool {
    let pairs =
        literals.iter().enumerate().flat_map(|(index, a)| literals[index..].iter().map(move |b| (a, b)));
    pairs.into_iter().any(|(a, b)| conflict(rules, a, b))
}

fn conflict(rules: &Rules, a: &Literal<'_>, b: &Literal<'_>) -> bool {
    match (a, b) {
        ((Test::Config(a), true), (Test::Config(b), true)) => a.path == b.path && clash(a, b),
        ((Test::Config(a), true), (Test::Config(b), false))
        | ((Test::Config(b), false), (Test::Config(a), true)) => same_question(a, b),
        ((Test::Architecture(a), true), (Test::Architecture(b), true)) => {
            names_clash(a, b, |name| rules.known(name).map(|known| known.category.as_str()))
        }
        ((Test::ModelType(a), true), (Test::ModelType(b), true)) => names_clash(a, b, |_| None),
        ((Test::Architecture(a), yes), (Test::Architecture(b), no))
        | ((Test::ModelType(a), yes), (Test::ModelType(b), no)) => a == b && yes != no,
        ((Test::File(a), true), (Test::File(b), false)) | ((Test::File(b), false), (Test::File(a), true)) => {
            a.iter().all(|glob| b.contains(glob))
        }
        ((Test::Dir(a), true), (Test::Dir(b), false)) | ((Test::Dir(b), false), (Test::Dir(a), true)) => {
            a.iter().all(|glob| b.contains(glob))
        }
        ((Test::Tensor(a), true), (Test::Tensor(b), false))
        | ((Test::Tensor(b), false), (Test::Tensor(a), true)) => a.iter().all(|glob| b.contains(glob)),
        _ => false,
    }
}

/// Whether `a` holding means that `b` holds.
fn same_question(a: &ConfigTest, b: &ConfigTest) -> bool {
    a.path == b.path && b.asks.iter().all(|ask| a.asks.contains(ask))
}

/// Whether one value cannot fulfil both.
fn clash(a: &ConfigTest, b: &ConfigTest) -> bool {
    // A star stands for several values, which can differ.
    if a.path.split('.').any(|part| part == "*") {
        return false;
    }
    let asks = || a.asks.iter().chain(&b.asks);
    let absent = asks().any(|ask| *ask == Ask::Exists(false));
    let present = asks().any(|ask| *ask != Ask::Exists(false));
    if absent && present {
        return true;
    }
    let mut low = f64::NEG_INFINITY;
    let mut high = f64::INFINITY;
    for ask in asks() {
        match ask {
            Ask::AtLeast(bound) => low = low.max(*bound),
            Ask::AtMost(bound) => high = high.min(*bound),
            _ => {}
        }
    }
    let mut values: Option<Vec<&serde_json::Value>> = None;
    for ask in asks() {
        if let Ask::OneOf(wanted) = ask {
            values = Some(match values {
                None => wanted.iter().collect(),
                Some(values) => values.into_iter().filter(|value| wanted.contains(value)).collect(),
            });
        }
    }
    let in_range = |value: &&serde_json::Value| match value.as_f64() {
        Some(number) => number >= low && number <= high,
        None => low == f64::NEG_INFINITY && high == f64::INFINITY,
    };
    let matched = |value: &&serde_json::Value| {
        asks().all(|ask| match (ask, value.as_str()) {
            (Ask::Matches(pattern), Some(text)) => {
                regex::Regex::new(pattern).is_ok_and(|re| re.is_match(text))
            }
            (Ask::Matches(_), None) => false,
            _ => true,
        })
    };
    low > high || values.is_some_and(|values| !values.iter().any(|value| in_range(value) && matched(value)))
}

/// Whether one name cannot fulfil both; `category` says where a name is listed.
fn names_clash<'r>(a: &NameTest, b: &NameTest, category: impl Fn(&str) -> Option<&'r str>) -> bool {
    let listed = |name: &str, wanted: &str| category(name).is_some_and(|found| found != wanted);
    match (a, b) {
        (NameTest::Exact(a), NameTest::Exact(b)) => !a.iter().any(|name| b.contains(name)),
        (NameTest::Listed(a), NameTest::Listed(b)) => a != b,
        (NameTest::Exact(names), NameTest::Listed(wanted))
        | (NameTest::Listed(wanted), NameTest::Exact(names)) => names.iter().all(|name| listed(name, wanted)),
        (NameTest::Exact(names), NameTest::Matches(pattern))
        | (NameTest::Matches(pattern), NameTest::Exact(names)) => {
            regex::Regex::new(pattern).is_ok_and(|re| !names.iter().any(|name| re.is_match(name)))
        }
        _ => false,
    }
}

/// Whether every directory that fulfils `a` fulfils `b`, as far as can be told.
pub(super) fn implies(a: &Literal<'_>, b: &Literal<'_>) -> bool {
    match (a, b) {
        ((Test::File(a), true), (Test::File(b), true)) | ((Test::Dir(a), true), (Test::Dir(b), true)) => {
            a.iter().all(|glob| b.contains(glob))
        }
        ((Test::File(a), false), (Test::File(b), false)) | ((Test::Dir(a), false), (Test::Dir(b), false)) => {
            b.iter().all(|glob| a.contains(glob))
        }
        ((Test::Config(a), true), (Test::Config(b), true)) => {
            same_question(a, b)
                || (a.path == b.path
                    && b.asks.iter().all(|ask| match ask {
                        Ask::Exists(true) => !a.asks.contains(&Ask::Exists(false)),
                        Ask::OneOf(wide) => a.asks.iter().any(|ask| match ask {
                            Ask::OneOf(narrow) => narrow.iter().all(|value| wide.contains(value)),
                            _ => false,
                        }),
                        ask => a.asks.contains(ask),
                    }))
        }
        ((Test::Architecture(a), true), (Test::Architecture(b), true))
        | ((Test::ModelType(a), true), (Test::ModelType(b), true)) => match (a, b) {
            (NameTest::Exact(narrow), NameTest::Exact(wide)) => narrow.iter().all(|name| wide.contains(name)),
            _ => a == b,
        },
        ((Test::Tensor(a), yes), (Test::Tensor(b), no)) => a == b && yes == no,
        ((Test::Config(a), false), (Test::Config(b), false)) => a.path == b.path && a.asks == b.asks,
        ((Test::Architecture(a), false), (Test::Architecture(b), false))
        | ((Test::ModelType(a), false), (Test::ModelType(b), false)) => a == b,
        _ => false,
    }
}

/// Every condition in the rules with the id it belongs to, inner ones too.
pub(super) fn each<'a>(rules: &'a Rules, visit: &mut dyn FnMut(&'a Condition)) {
    let tops = (rules.rules.values().map(|rule| &rule.when))
        .chain(rules.traits.values().map(|found| &found.when))
        .chain(rules.repairs.values().map(|repair| &repair.when))
        .chain(rules.tokenizers.values().map(|rule| &rule.when));
    let mut open: Vec<&Condition> = tops.collect();
    while let Some(condition) = open.pop() {
        visit(condition);
        match &condition.test {
            Test::All(parts) | Test::Any(parts) => open.extend(parts),
            Test::Not(part) => open.push(part),
            _ => {}
        }
    }
}
