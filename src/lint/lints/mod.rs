//! The lints: one file each, with its page; one line here.

use super::Lint;
use crate::diag::Span;

macro_rules! lints {
    ($($name:ident,)*) => {
        $(pub(super) mod $name;)*

        /// Every lint, by name.
        pub(super) static ALL: &[&Lint] = &[$(&$name::LINT,)*];
    };
}

/// Those that look at nothing but rules and their patterns.
pub(super) static OF_RULES: &[&Lint] = &[
    &contradictory_condition::LINT,
    &empty_condition::LINT,
    &invalid_pattern::LINT,
    &overbroad_pattern::LINT,
    &shadowed_rule::LINT,
];

/// Where a word first stands behind a name, as a whole: a key or a value of the table that the name opens. The name
/// itself if it does not.
fn below(name: &Span, word: &str) -> Span {
    let (source, from) = (&name.source, name.range.end);
    let within = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let text = source.text.get(from..).unwrap_or_default();
    let whole = text.match_indices(word).map(|(at, _)| at).find(|at| {
        let line = text[..*at].rsplit('\n').next().unwrap_or_default();
        !line.contains('#')
            && !within(line.chars().next_back())
            && !within(text[at + word.len()..].chars().next())
    });
    whole.map_or_else(|| name.clone(), |at| Span::new(source, from + at..from + at + word.len()))
}

lints! {
    alias_claimed_twice,
    alias_cycle,
    allow_without_reason,
    ambiguous_sample,
    architecture_claimed_twice,
    argument_twice,
    branch_on_size,
    branch_on_tensor,
    code_too_deep,
    code_too_large,
    contract_broken,
    contradictory_condition,
    empty_category,
    empty_condition,
    empty_repair,
    entry_changes_nothing,
    entry_declared_twice,
    extends_cycle,
    field_cycle,
    field_declared_twice,
    index_out_of_range,
    invalid_pattern,
    invalid_template,
    missing_argument,
    missing_config_field,
    missing_fixture,
    missing_key,
    missing_sample,
    module_depth,
    near_duplicate_name,
    no_output,
    no_return,
    not_callable,
    not_supported,
    overbroad_pattern,
    overlay_changes_nothing,
    path_outside,
    priority_tie,
    rename_matches_nothing,
    replace_replaces_nothing,
    settled_branch,
    shadowed_rule,
    shape_mismatch,
    sizes_rarely_agree,
    step_budget,
    stored_misfit,
    syntax,
    tensor_named_twice,
    tied_shapes_differ,
    tied_to_nothing,
    tokenizer_source,
    toml_syntax,
    too_many_arguments,
    unknown_architecture,
    unknown_argument,
    unknown_attribute,
    unknown_category,
    unknown_config,
    unknown_config_key,
    unknown_field,
    unknown_key,
    unknown_lint,
    unknown_method,
    unknown_module,
    unknown_name,
    unknown_task,
    unmet_expectation,
    unreachable_code,
    unread_tensor,
    untyped_input,
    unused_allow,
    unused_assignment,
    unused_field,
    unused_input,
    unused_layer,
    unused_let,
    unused_module,
    wrong_arguments,
    wrong_config_value,
    wrong_count,
    wrong_kind,
    wrong_place,
    wrong_size,
    wrong_type,
    wrong_value,
}
