//! Finds the weight files of a directory.
//!
//! In: a directory and, where wanted, a variant (`fp16`) and files to prefer. Out: the files in order and the index that
//! lists them, with remarks on files that were passed over.
//!
//! An index decides over a single file beside it; safetensors decide over pickles.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::WeightsError;
use super::inside::stays_inside;
use crate::facts::NOT_WEIGHTS;

/// Names under which libraries save a model, in the order of preference: stem and extension.
const USUAL: [(&str, &str); 4] = [
    ("model", "safetensors"),
    ("diffusion_pytorch_model", "safetensors"),
    ("pytorch_model", "bin"),
    ("diffusion_pytorch_model", "bin"),
];

/// What to try if none of the usual names is there: the only file of a kind.
const ONLY_ONE: [&[&str]; 3] = [&["safetensors"], &["npz"], &["bin", "pt", "pth", "ckpt"]];

/// What was found. Names are relative to the directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) files: Vec<String>,
    /// The index; where there is one, `files` is empty and the index says which they are.
    pub(crate) index: Option<String>,
    pub(crate) remarks: Vec<String>,
}

/// Finds the weights of `dir`; the first of the `preferred` files that is there counts before any other.
pub(crate) fn find(dir: &Path, variant: Option<&str>, preferred: &[String]) -> Result<Found, WeightsError> {
    if let Some(name) = preferred.iter().find(|name| stays_inside(name) && dir.join(name).is_file()) {
        return Ok(Found { files: vec![name.clone()], index: None, remarks: Vec::new() });
    }
    among(dir, list(dir)?, variant)
}

/// Chooses the weights of `dir` among the names of its files.
pub(crate) fn among(
    dir: &Path,
    names: BTreeSet<String>,
    variant: Option<&str>,
) -> Result<Found, WeightsError> {
    if let Some(found) = usual(&names, variant) {
        return Ok(found);
    }
    if variant.is_none()
        && let Some(found) = only_variant(dir, &names)?
    {
        return Ok(found);
    }
    for extensions in ONLY_ONE {
        let candidates: Vec<String> =
            names.iter().filter(|name| variant.is_none() && is_weights(name, extensions)).cloned().collect();
        match candidates.as_slice() {
            [] => {}
            [_] => {
                return Ok(Found { files: candidates, index: None, remarks: Vec::new() });
            }
            _ => {
                return Err(WeightsError::Ambiguous { dir: dir.to_owned(), candidates });
            }
        }
    }
    let kind = variant.map_or_else(String::new, |variant| format!("{variant}."));
    Err(WeightsError::NoWeights {
        dir: dir.to_owned(),
        expected: format!("`model.{kind}safetensors`, its index, or `pytorch_model.{kind}bin`"),
        found: names.into_iter().collect(),
    })
}

fn is_weights(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.contains(&extension))
        && !NOT_WEIGHTS.iter().any(|start| name.starts_with(start))
}

fn list(dir: &Path) -> Result<BTreeSet<String>, WeightsError> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(WeightsError::io(dir))? {
        let name = entry.map_err(WeightsError::io(dir))?.file_name();
        names.extend(name.to_str().map(str::to_owned));
    }
    Ok(names)
}

fn usual(names: &BTreeSet<String>, variant: Option<&str>) -> Option<Found> {
    USUAL.iter().find_map(|(stem, extension)| {
        let (single, indices) = match variant {
            None => (format!("{stem}.{extension}"), vec![format!("{stem}.{extension}.index.json")]),
            Some(variant) => (
                format!("{stem}.{variant}.{extension}"),
                vec![
                    format!("{stem}.{variant}.{extension}.index.json"),
                    format!("{stem}.{extension}.index.{variant}.json"),
                ],
            ),
        };
        let index = indices.into_iter().find(|index| names.contains(index));
        if index.is_some() {
            return Some(Found { files: Vec::new(), index, remarks: Vec::new() });
        }
        if names.contains(&single) {
            return Some(Found { files: vec![single], index: None, remarks: Vec::new() });
        }
        let stem = variant.map_or_else(|| (*stem).to_owned(), |variant| format!("{stem}.{variant}"));
        shards_without_index(names, &stem, extension)
    })
}

/// A set such as `model-00001-of-00003.safetensors` whose index is absent. The set says itself how
/// many there are; a part that is missing is reported when it is opened.
fn shards_without_index(names: &BTreeSet<String>, stem: &str, extension: &str) -> Option<Found> {
    let (first, total) = names.iter().find_map(|name| {
        let (_, total) = shard_number(name, stem, extension)?;
        Some((name.clone(), total))
    })?;
    let count: usize = total.parse().ok()?;
    // As many as there are files at most, so that a name cannot ask for a long list.
    let listed = count.min(names.len() + 1);
    let width = total.len();
    let files = (1..=listed).map(|part| format!("{stem}-{part:0width$}-of-{total}.{extension}")).collect();
    let remarks = vec![format!("`{first}` is part of a set without an index; all {count} are read")];
    Some(Found { files, index: None, remarks })
}

/// The number and the total in `stem-00001-of-00003.extension`.
pub(crate) fn shard_number<'a>(name: &'a str, stem: &str, extension: &str) -> Option<(&'a str, &'a str)> {
    let middle = name.strip_prefix(stem)?.strip_suffix(extension)?;
    let (part, total) = middle.strip_prefix('-')?.strip_suffix('.')?.split_once("-of-")?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(part) && digits(total)).then_some((part, total))
}

/// The variant that is there where the plain weights are not.
fn only_variant(dir: &Path, names: &BTreeSet<String>) -> Result<Option<Found>, WeightsError> {
    for (stem, extension) in USUAL {
        let variants: BTreeSet<&str> =
            names.iter().filter_map(|name| variant_of(name, stem, extension)).collect();
        let mut all = variants.into_iter();
        match (all.next(), all.next()) {
            (None, _) => {}
            (Some(variant), None) => {
                let found = usual(names, Some(variant));
                return Ok(found.map(|mut found| {
                    found.remarks.push(format!("only the variant `{variant}` is there: it is used"));
                    found
                }));
            }
            (Some(_), Some(_)) => {
                let candidates = names
                    .iter()
                    .filter(|name| variant_of(name, stem, extension).is_some())
                    .cloned()
                    .collect();
                return Err(WeightsError::Ambiguous { dir: dir.to_owned(), candidates });
            }
        }
    }
    Ok(None)
}

fn variant_of<'a>(name: &'a str, stem: &str, extension: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(stem)?.strip_prefix('.')?;
    let single = rest.strip_suffix(extension).and_then(|rest| rest.strip_suffix('.'));
    let index =
        rest.strip_suffix(".index.json").and_then(|rest| rest.strip_suffix(extension)?.strip_suffix('.'));
    let late =
        rest.strip_prefix(extension).and_then(|rest| rest.strip_prefix(".index.")?.strip_suffix(".json"));
    single.or(index).or(late).filter(|variant| !variant.is_empty() && !variant.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], variant: Option<&str>) -> Result<Found, WeightsError> {
        let dir = tempfile::tempdir().expect("temporary directory");
        for file in files {
            std::fs::write(dir.path().join(file), "x").expect("written");
        }
        find(dir.path(), variant, &[])
    }

    fn single(file: &str) -> (Vec<String>, Option<String>) {
        (vec![file.to_owned()], None)
    }

    fn index(file: &str) -> (Vec<String>, Option<String>) {
        (Vec::new(), Some(file.to_owned()))
    }

    #[test]
    fn the_usual_names_in_their_order() {
        for (files, variant, expected) in [
            (&["model.safetensors", "pytorch_model.bin"][..], None, single("model.safetensors")),
            (
                &["model.safetensors", "model.safetensors.index.json"],
                None,
                index("model.safetensors.index.json"),
            ),
            (&["model.safetensors", "model.safetensors.index.fp32.json"], None, single("model.safetensors")),
            (
                &["model.safetensors", "model.safetensors.index.fp32.json"],
                Some("fp32"),
                index("model.safetensors.index.fp32.json"),
            ),
            (
                &["diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors"],
                Some("fp16"),
                single("diffusion_pytorch_model.fp16.safetensors"),
            ),
            (
                &["diffusion_pytorch_model.fp16.safetensors"],
                None,
                single("diffusion_pytorch_model.fp16.safetensors"),
            ),
            (
                &["pytorch_model.bin.index.json", "training_args.bin"],
                None,
                index("pytorch_model.bin.index.json"),
            ),
            (&["ae.pt", "optimizer.pt", "config.json"], None, single("ae.pt")),
            (&["params.npz"], None, single("params.npz")),
            (&["sae_weights.safetensors", "cfg.json"], None, single("sae_weights.safetensors")),
        ] {
            let found = check(files, variant).expect("found");
            assert_eq!((found.files, found.index), expected, "{files:?} {variant:?}");
        }
    }

    #[test]
    fn a_preferred_file_counts_before_all_others() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(dir.path().join("last")).expect("made");
        for file in ["model.safetensors", "own.npz", "last/own.pt"] {
            std::fs::write(dir.path().join(file), "x").expect("written");
        }
        for (preferred, expected) in [
            (&["absent.npz", "own.npz"][..], "own.npz"),
            (&["last/own.pt", "own.npz"], "last/own.pt"),
            (&["../own.npz", "last"], "model.safetensors"),
        ] {
            let preferred: Vec<String> = preferred.iter().map(ToString::to_string).collect();
            assert_eq!(find(dir.path(), None, &preferred).expect("found").files, [expected]);
        }
    }

    #[test]
    fn a_set_without_an_index_is_taken_whole() {
        let found = check(&["model-2-of-2.safetensors", "config.json"], None).expect("found");
        assert_eq!(found.files, ["model-1-of-2.safetensors", "model-2-of-2.safetensors"]);
        let absurd = check(&["model-1-of-99999999999.safetensors"], None).expect("found");
        assert!(absurd.files.len() < 5, "{}", absurd.files.len());
    }

    #[test]
    fn nothing_and_too_much_are_errors() {
        assert!(matches!(check(&["config.json"], None), Err(WeightsError::NoWeights { .. })));
        assert!(matches!(check(&["model.safetensors"], Some("fp16")), Err(WeightsError::NoWeights { .. })));
        assert!(matches!(
            check(&["a.safetensors", "b.safetensors"], None),
            Err(WeightsError::Ambiguous { .. })
        ));
        assert!(matches!(
            check(&["model.fp16.safetensors", "model.bf16.safetensors"], None),
            Err(WeightsError::Ambiguous { .. })
        ));
    }
}
