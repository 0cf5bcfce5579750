//! `omni check` as a person, an editor and a build server run it.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use omni::lint::EXAMPLE_BASE;
use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

/// What `omni check` did: its exit code, standard output and standard error.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(dir: &Path, args: &[&str], stdin: Option<&str>) -> Result<Ran, Box<dyn Error>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omni"))
        .arg("check")
        .args(args)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .env_remove("OMNI_REGISTRY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("standard input is piped")?;
    input.write_all(stdin.unwrap_or_default().as_bytes())?;
    drop(input);
    let out = child.wait_with_output()?;
    Ok(Ran {
        code: out.status.code().ok_or("killed by a signal")?,
        out: String::from_utf8(out.stdout)?,
        err: String::from_utf8(out.stderr)?,
    })
}

/// A warning that `--fix` leaves, an error that it corrects, and one that needs `--unsafe-fixes`.
const FAULTY: &str = "\
[modules.ToyBlock]
inputs      = [\"x\"]
# kept as it is
lets.unused = \"wide * 2\"   # and so is this
layers.up   = \"Linaer(size, wide)\"
layers.down = \"Linear(wide, size)\"
forward     = 'return down(up(x))'
";

fn faulty() -> Result<tempfile::TempDir, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (rest, _) = EXAMPLE_BASE.split_once("[modules.ToyBlock]").ok_or("the example has that module")?;
    fs::write(dir.path().join("toy.toml"), rest)?;
    fs::write(dir.path().join("zoo.toml"), FAULTY)?;
    Ok(dir)
}

/// The two files, one standing on the other.
const BOTH: [&str; 2] = ["toy.toml", "zoo.toml"];

fn both(rest: &[&'static str]) -> Vec<&'static str> {
    BOTH.iter().chain(rest).copied().collect()
}

#[test]
fn each_format_says_the_same() -> Outcome {
    let dir = faulty()?;
    for format in ["full", "concise", "json", "sarif", "github", "junit"] {
        let ran = run(dir.path(), &both(&["--output-format", format]), None)?;
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.out.contains("Linaer"), "{format}: {}", ran.out);
        if format == "sarif" {
            let sarif: Value = serde_json::from_str(&ran.out)?;
            assert_eq!(sarif["version"], "2.1.0");
            let run = &sarif["runs"][0];
            let rules = run["tool"]["driver"]["rules"].as_array().ok_or("rules")?;
            for result in run["results"].as_array().ok_or("results")? {
                assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{result}");
            }
            insta::assert_snapshot!("check_sarif", format!("{:#}", run["results"]));
        } else {
            insta::assert_snapshot!(format!("check_{format}"), ran.out);
        }
    }
    Ok(())
}

#[test]
fn the_order_of_the_paths_changes_nothing() -> Outcome {
    let dir = faulty()?;
    let one = run(dir.path(), &["toy.toml", "zoo.toml", "--output-format", "json"], None)?;
    let other = run(dir.path(), &["zoo.toml", "toy.toml", "--output-format", "json"], None)?;
    let folder = run(dir.path(), &[".", "--output-format", "json"], None)?;
    assert_eq!(one.out, other.out);
    assert_eq!(one.out, folder.out.replace("\"./", "\""));
    Ok(())
}

#[test]
fn the_exit_code_follows_the_findings() -> Outcome {
    let dir = faulty()?;
    let code = |args: &[&'static str]| run(dir.path(), &both(args), None).map(|ran| ran.code);
    assert_eq!(code(&[])?, 1);
    assert_eq!(code(&["--exit-zero"])?, 0);
    assert_eq!(code(&["--select", "unused-let"])?, 1);
    assert_eq!(code(&["--select", "unused-let", "--fail-on", "error"])?, 0);
    assert_eq!(code(&["--select", "unused-let", "--deny", "unused-let", "--fail-on", "error"])?, 1);
    assert_eq!(code(&["--select", "alias-cycle"])?, 0);
    assert_eq!(code(&["--ignore", "unused-lett"])?, 2, "a lint that is none is wrong usage");
    assert_eq!(code(&["--output-format", "yaml"])?, 2);
    let ran = run(dir.path(), &["absent.toml"], None)?;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("absent.toml"), "{}", ran.err);
    Ok(())
}

#[test]
fn levels_come_from_the_lints_table_and_the_command_line_wins() -> Outcome {
    let dir = faulty()?;
    fs::write(dir.path().join("lints.toml"), "[lints]\nunused-let = \"off\"\nunknown-name = \"note\"\n")?;
    let all = [".", "--output-format", "json"];
    let found = |args: &[&str]| -> Result<Vec<(String, String)>, Box<dyn Error>> {
        let args: Vec<&str> = all.iter().chain(args).copied().collect();
        let found: Vec<Value> = serde_json::from_str(&run(dir.path(), &args, None)?.out)?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(found.iter().map(|problem| (word(&problem["code"]), word(&problem["level"]))).collect())
    };
    let levels = found(&[])?;
    assert!(!levels.iter().any(|(code, _)| code == "unused-let"), "{levels:?}");
    let levels = found(&["--warn", "unused-let"])?;
    assert!(levels.contains(&("unused-let".to_owned(), "warning".to_owned())), "{levels:?}");
    fs::write(dir.path().join("lints.toml"), "[lints]\nunused-lett = \"off\"\n")?;
    let levels = found(&[])?;
    assert!(levels.iter().any(|(code, _)| code == "unknown-lint"), "{levels:?}");
    fs::write(dir.path().join("lints.toml"), "[lints]\nunused-let = \"of\"\n")?;
    let ran = run(dir.path(), &["."], None)?;
    assert!(ran.out.contains("did you mean `off`?"), "{}", ran.out);
    Ok(())
}

#[test]
fn fixes_keep_everything_else_as_it_is() -> Outcome {
    let dir = faulty()?;
    let path = dir.path().join("zoo.toml");
    let shown = run(dir.path(), &both(&["--diff", "--unsafe-fixes"]), None)?;
    assert_eq!(fs::read_to_string(&path)?, FAULTY, "--diff writes nothing");
    insta::assert_snapshot!("check_diff", shown.out);

    let ran = run(dir.path(), &both(&["--fix"]), None)?;
    let safe = FAULTY.replace("Linaer", "Linear");
    assert_eq!(fs::read_to_string(&path)?, safe, "{}", ran.err);
    assert!(ran.out.contains("unused-let"), "an unsafe correction is not made unasked: {}", ran.out);

    let ran = run(dir.path(), &both(&["--unsafe-fixes"]), None)?;
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert_eq!(
        fs::read_to_string(&path)?,
        safe.replace("lets.unused = \"wide * 2\"   # and so is this\n", "")
    );
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    let again = run(dir.path(), &both(&["--unsafe-fixes"]), None)?;
    assert_eq!(again.code, 0, "corrections reach a fixpoint");
    Ok(())
}

#[test]
fn a_file_on_standard_input_stands_for_the_one_of_its_name() -> Outcome {
    let dir = faulty()?;
    let ran =
        run(dir.path(), &["--stdin-filename", "toy.toml", "--output-format", "concise"], Some(EXAMPLE_BASE))?;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let broken = EXAMPLE_BASE.replace("tokens(input_ids)", "tokens(inputs)");
    let ran =
        run(dir.path(), &["--stdin-filename", "toy.toml", "--output-format", "concise"], Some(&broken))?;
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("toy.toml:16:43: error[unknown-name]"), "{}", ran.out);
    let ran = run(dir.path(), &["--stdin-filename", "a.toml", "b.toml"], Some(""))?;
    assert_eq!(ran.code, 2, "paths and standard input exclude each other");
    Ok(())
}

#[test]
fn statistics_count_the_findings() -> Outcome {
    let dir = faulty()?;
    let ran = run(dir.path(), &both(&["--statistics", "--exit-zero"]), None)?;
    assert_eq!(ran.code, 0);
    assert!(ran.out.lines().any(|line| line.trim_start().starts_with("1  unused-let")), "{}", ran.out);
    Ok(())
}

#[test]
fn colour_is_for_terminals() -> Outcome {
    let dir = faulty()?;
    let ran = run(dir.path(), &both(&[]), None)?;
    assert!(!ran.out.contains('\u{1b}'), "no escape codes where nobody sees colour");
    Ok(())
}
