//! Binding: names, alternatives, prefixes, ties, and the report.

use std::fs;

use tempfile::TempDir;

use crate::weights::testing::{ramp, write};
use crate::weights::{
    BindReport, BindRules, Binding, Checkpoint, Prefix, Source, Stored, StoredDtype, Wanted, bind,
};

/// A checkpoint of single-precision tensors; those of equal shape have equal bytes.
fn checkpoint(tensors: &[(&str, &[usize])]) -> (TempDir, Checkpoint) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, shape)| {
            let bytes = ramp(shape.iter().product::<usize>() * 4);
            (*name, StoredDtype::F32, shape.to_vec(), bytes)
        })
        .collect();
    write(&dir.path().join("model.safetensors"), &tensors);
    let checkpoint = Checkpoint::open(dir.path()).expect("opens");
    (dir, checkpoint)
}

fn bound(
    tensors: &[(&str, &[usize])],
    wanted: &[Wanted],
    rules: &BindRules,
) -> Result<Binding, Box<BindReport>> {
    let (_dir, checkpoint) = checkpoint(tensors);
    bind(wanted, &checkpoint, rules)
}

fn tied(name: &str, to: &str) -> Wanted {
    Wanted { tied_to: Some(to.to_owned()), ..Wanted::new(name, [2]) }
}

/// The stored names of each parameter.
fn stored(binding: &Binding) -> Vec<String> {
    let text = |source: &Source| match source {
        Source::Stored { stored, .. } => stored.to_string(),
        Source::Tied { to, copy } => {
            format!("= {to}{}", if copy.is_some() { " (copied)" } else { "" })
        }
        Source::Absent => "absent".to_owned(),
    };
    binding.params().iter().map(|bound| text(&bound.source)).collect()
}

#[test]
fn everything_wrong_is_in_one_report() {
    let report = bound(
        &[
            ("layers.0.wieght", &[2]),
            ("layers.1.wieght", &[2]),
            ("b", &[3]),
            ("x.gamma", &[2]),
            ("x.weight", &[2]),
        ],
        &[
            Wanted::new("layers.0.weight", [2]),
            Wanted::new("layers.1.weight", [2]),
            Wanted::new("b", [4]),
            Wanted::new("x.weight", [2]),
        ],
        &BindRules { rename: vec![("{x}.gamma".into(), "{x}.weight".into())], ..BindRules::default() },
    )
    .expect_err("much is wrong");
    insta::assert_snapshot!(report.to_string(), @r"
    the checkpoint does not fit the model
    missing: the model needs them (2)
      layers.{0..1}.weight [2]; the nearest unused: layers.{0..1}.wieght
    mis-shaped: stored in another shape (1)
      b: found [3], expected [4]
    unused: stored, but no parameter takes them (3)
      layers.{0..1}.wieght
      x.weight
    duplicate: several tensors for one name (1)
      x.weight is stored as x.gamma and x.weight
    to go on: take config.json and the weights from the same model: their sizes differ
    ");
}

#[test]
fn the_prefix_that_finds_most_is_taken() {
    let wanted = [Wanted::new("model.a", [2]), Wanted::new("model.b", [2]), Wanted::new("head", [2])];
    let strip = Prefix { strip: "model.".into(), add: String::new() };
    let rules =
        BindRules { prefixes: vec![Prefix::default(), "outer.".into(), strip], ..BindRules::default() };
    let plain = bound(&[("model.a", &[2]), ("model.b", &[2]), ("head", &[2])], &wanted, &rules);
    assert_eq!(stored(&plain.expect("binds")), ["model.a", "model.b", "head"]);
    let bare = bound(&[("a", &[2]), ("b", &[2]), ("head", &[2])], &wanted, &rules);
    assert_eq!(stored(&bare.expect("binds")), ["a", "b", "head"]);
    let under = bound(&[("outer.model.a", &[2]), ("outer.model.b", &[2]), ("head", &[2])], &wanted, &rules);
    assert_eq!(stored(&under.expect("binds")), ["outer.model.a", "outer.model.b", "head"]);
}

#[test]
fn the_first_alternative_that_is_there_is_taken() {
    let parts = Stored::Concat(vec![Stored::tensor("q"), Stored::tensor("k")], 0);
    let fused = Wanted { stored: vec![Stored::tensor("qk"), parts], ..Wanted::new("qk", [4]) };
    let rules = BindRules::default();
    let one = bound(&[("qk", &[4])], std::slice::from_ref(&fused), &rules).expect("binds");
    assert_eq!(stored(&one), ["qk"]);
    let two = bound(&[("q", &[2]), ("k", &[2])], std::slice::from_ref(&fused), &rules);
    assert_eq!(stored(&two.expect("binds")), ["concat(q, k, axis=0)"]);
    let half = bound(&[("q", &[2])], &[fused], &rules).expect_err("half is not enough");
    assert_eq!(half.missing[0].tried, ["qk", "concat(q, k, axis=0)"]);
}

#[test]
fn a_conversion_that_does_not_fit_is_mis_shaped() {
    let wanted = Wanted {
        stored: vec![Stored::Transpose(Box::new(Stored::tensor("a")), 0, 1)],
        ..Wanted::new("a", [3, 2])
    };
    let fits = bound(&[("a", &[2, 3])], std::slice::from_ref(&wanted), &BindRules::default());
    assert!(fits.is_ok());
    let report = bound(&[("a", &[6])], &[wanted], &BindRules::default()).expect_err("one axis");
    assert!(report.mis_shaped[0].found.is_err());
    assert!(report.to_string().contains("has no such axis, expected [3, 2]"), "{report}");
}

#[test]
fn optional_ignored_and_allowed() {
    let optional = Wanted { optional: true, ..Wanted::new("o", [2]) };
    let rules = BindRules { ignore: vec!["*.inv_freq".into()], ..BindRules::default() };
    let tensors: &[(&str, &[usize])] = &[("a", &[2]), ("rope.inv_freq", &[2]), ("more", &[2])];
    let wanted = [Wanted::new("a", [2]), optional];
    let report = bound(tensors, &wanted, &rules).expect_err("one is unused");
    assert_eq!(report.unused, ["more"]);
    let rules = BindRules { allow_unused: true, ..rules };
    let binding = bound(tensors, &wanted, &rules).expect("allowed");
    assert_eq!(stored(&binding), ["a", "absent"]);
    assert_eq!(binding.unused(), ["more"]);
}

#[test]
fn ties_follow_what_the_checkpoint_holds() {
    let wanted = [Wanted::new("embed", [2]), tied("head", "embed"), tied("again", "head")];
    let rules = BindRules::default();
    let one = bound(&[("embed", &[2])], &wanted, &rules).expect("binds");
    assert_eq!(stored(&one), ["embed", "= embed", "= embed"]);
    assert_eq!(one.ties().collect::<Vec<_>>(), [("head", "embed"), ("again", "embed")]);
    let other = bound(&[("head", &[2])], &wanted, &rules).expect("binds");
    assert_eq!(stored(&other), ["head", "= embed", "= embed"]);
    let none = bound(&[("z", &[2])], &wanted, &rules).expect_err("nothing to tie to");
    assert_eq!(none.missing.len(), 3);
    let circle = [tied("a", "b"), tied("b", "a")];
    let report = bound(&[("a", &[2]), ("b", &[2])], &circle, &rules).expect_err("a circle");
    assert!(report.faults[0].contains("circle"), "{report}");
}

#[test]
fn stored_copies_of_tied_tensors_are_compared() {
    let wanted = [Wanted::new("embed", [2]), tied("head", "embed")];
    let (dir, open) = checkpoint(&[("embed", &[2]), ("head", &[2])]);
    let mut binding = bind(&wanted, &open, &BindRules::default()).expect("binds");
    assert_eq!(stored(&binding), ["embed", "head"], "before they are compared");
    assert_eq!(binding.resolve_ties(&open).expect("read"), []);
    assert_eq!(stored(&binding), ["embed", "= embed (copied)"]);

    let path = dir.path().join("model.safetensors");
    drop(open);
    let mut bytes = fs::read(&path).expect("there");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&path, bytes).expect("written");
    let open = Checkpoint::open(dir.path()).expect("opens");
    let mut binding = bind(&wanted, &open, &BindRules::default()).expect("binds");
    let disagreements = binding.resolve_ties(&open).expect("read");
    assert_eq!((disagreements[0].name.as_str(), disagreements[0].to.as_str()), ("head", "embed"));
    assert_eq!(stored(&binding), ["embed", "head"], "what differs stays apart");
}

#[test]
fn rules_that_cannot_be_applied_are_told() {
    for rules in [
        BindRules { rename: vec![("{x".into(), "y".into())], ..BindRules::default() },
        BindRules { ignore: vec!["[".into()], ..BindRules::default() },
    ] {
        let report = bound(&[("a", &[2])], &[Wanted::new("a", [2])], &rules).expect_err("broken");
        assert_eq!(report.faults.len(), 1, "{report}");
    }
}
