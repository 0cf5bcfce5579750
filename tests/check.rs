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
    run_where(dir, args, stdin, &[])
}

/// The same with variables of the environment.
fn run_where(
    dir: &Path,
    args: &[&str],
    stdin: Option<&str>,
    variables: &[(&str, &str)],
) -> Result<Ran, Box<dyn Error>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omni"))
        .arg("check")
        .args(args)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .env_remove("OMNI_REGISTRY")
        .env_remove("NO_GRAPHICS")
        .env_remove("COLUMNS")
        .env("XDG_CONFIG_HOME", dir)
        .envs(variables.iter().copied())
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
    assert_eq!(shown.code, 1, "something would change");
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
    let nothing = run(dir.path(), &both(&["--diff", "--unsafe-fixes"]), None)?;
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""), "nothing would change");
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
    let ran = run(dir.path(), &["toy.toml", "--fix"], None)?;
    assert_eq!(ran.code, 1, "the other file is not there to stand upon");
    fs::write(dir.path().join("toy.toml"), EXAMPLE_BASE)?;
    let ran = run(dir.path(), &["--fix", "--stdin-filename", "zoo.toml"], Some(FAULTY))?;
    let whole = fs::read_to_string(dir.path().join("zoo.toml"))?;
    assert_eq!((ran.out, whole.as_str()), (FAULTY.replace("Linaer", "Linear"), FAULTY));
    assert!(ran.code == 1 && ran.err.contains("unused-let"), "what is left is told beside it: {}", ran.err);
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
    let ran = run(dir.path(), &both(&["--statistics", "--output-format", "json"]), None)?;
    let rows: Vec<Value> = serde_json::from_str(&ran.out)?;
    let counts: Vec<_> = rows.iter().map(|row| (&row["code"], &row["count"], &row["fixable"])).collect();
    let (one, none) = (Value::from(1), Value::from(0));
    let names = [Value::from("unknown-name"), Value::from("unused-let")];
    assert_eq!(counts, [(&names[0], &one, &one), (&names[1], &one, &none)]);
    Ok(())
}

#[test]
fn colour_is_for_terminals() -> Outcome {
    let dir = faulty()?;
    let ran = run(dir.path(), &both(&[]), None)?;
    assert!(!ran.out.contains('\u{1b}'), "no escape codes where nobody sees colour");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other() -> Outcome {
    let dir = faulty()?;
    fs::write(dir.path().join("latin.toml"), b"# one\nx = '\xff'\n")?;
    for command in [&["."][..], &[".", "--fix", "--diff"]] {
        let ran = run(dir.path(), command, None)?;
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("latin.toml` is not UTF-8: line 2 holds the byte 0xff"), "{}", ran.err);
        assert!(ran.out.contains("Linaer"), "{}", ran.out);
    }
    let ran = run(dir.path(), &["latin.toml"], None)?;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "nothing was checked");
    let ran = run(dir.path(), &["zoo.toml", "toy.toml", "--exit-zero"], None)?;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "what nobody named is not missed");
    fs::create_dir(dir.path().join("empty"))?;
    let ran = run(dir.path(), &["empty"], None)?;
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("no .toml file in `empty`"), "{}", ran.err);
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_folder_that_links_to_itself_is_read_once() -> Outcome {
    let dir = faulty()?;
    fs::create_dir(dir.path().join("inner"))?;
    std::os::unix::fs::symlink("..", dir.path().join("inner/back"))?;
    let ran = run(dir.path(), &[".", "--output-format", "concise"], None)?;
    assert_eq!(ran.out.matches("Linaer").count(), 1, "{}", ran.out);
    Ok(())
}

#[test]
fn without_paths_and_a_registry_here_the_overlays_are_checked() -> Outcome {
    let dir = faulty()?;
    let ran = run(dir.path(), &["--registry", "toy.toml", "--registry", "zoo.toml"], None)?;
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("Linaer") && ran.out.contains("2 files checked"), "{}", ran.out);
    let ran = run(dir.path(), &[], None)?;
    assert!(ran.code == 0 && ran.out.starts_with("nothing found"), "the shipped one: {}", ran.out);
    Ok(())
}

#[test]
fn findings_fit_the_width_and_can_be_told_in_words() -> Outcome {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("a.toml"), "[package]\n")?;
    let narrow = run_where(dir.path(), &["a.toml"], None, &[("COLUMNS", "40")])?;
    let widest = |ran: &Ran| {
        let lines = ran.out.lines().filter(|line| !line.starts_with("1 error"));
        lines.map(|line| line.chars().count()).max().unwrap_or(0)
    };
    assert!(widest(&narrow) <= 40, "{}", narrow.out);
    let wide = run(dir.path(), &["a.toml"], None)?;
    assert!((41..=100).contains(&widest(&wide)), "{}", wide.out);
    let told = run_where(dir.path(), &["a.toml"], None, &[("NO_GRAPHICS", "1")])?;
    assert!(told.out.contains("at line 1") && !told.out.contains('\u{256d}'), "{}", told.out);
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn findings_that_cannot_be_written_are_a_failure() -> Outcome {
    let dir = faulty()?;
    let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni"));
    let ran = command.args(["check", ".", "--exit-zero"]).current_dir(dir.path()).stdout(full).output()?;
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8(ran.stderr)?.contains("cannot write to standard output"));
    Ok(())
}

#[test]
fn a_page_is_printed_by_its_name() -> Outcome {
    let page = |args: &[&str]| -> Result<(i32, String, String), Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omni"));
        let ran = command.arg("explain-lint").args(args).output()?;
        let code = ran.status.code().ok_or("killed by a signal")?;
        Ok((code, String::from_utf8(ran.stdout)?, String::from_utf8(ran.stderr)?))
    };
    let (code, out, _) = page(&["unused-let"])?;
    assert!(code == 0 && out.starts_with("# unused-let\n") && out.lines().count() < 40, "{out}");
    let (code, out, err) = page(&["unused-lett"])?;
    assert!(code == 2 && out.is_empty() && err.contains("did you mean `unused-let`?"), "{err}");
    assert_eq!(page(&["--base"])?.1, EXAMPLE_BASE);
    let (_, all, _) = page(&[])?;
    assert_eq!(all.lines().count(), omni::lint::all().len());
    Ok(())
}

#[test]
fn untried_conditions_are_listed() -> Outcome {
    let dir = tempfile::tempdir()?;
    let text = EXAMPLE_BASE.replace("return down(up(x))'", "return down(up(x)) if use_bias else x'");
    fs::write(dir.path().join("toy.toml"), &text)?;
    let test = |args: &[&str]| -> Result<(i32, String), Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omni"));
        command.args(["test", "toy.toml", "--untested"]).args(args).current_dir(dir.path());
        let ran = command.env_remove("OMNI_REGISTRY").env("XDG_CONFIG_HOME", dir.path()).output()?;
        Ok((ran.status.code().ok_or("killed by a signal")?, String::from_utf8(ran.stdout)?))
    };
    let (code, out) = test(&[])?;
    assert!(
        code == 1 && out.starts_with("toy.toml:23:38: always holds: use_bias\n1 untested condition "),
        "{out}"
    );
    let rows: Vec<Value> = serde_json::from_str(&test(&["--json"])?.1)?;
    assert_eq!((&rows[0]["condition"], &rows[0]["always"]), (&Value::from("use_bias"), &Value::from(true)));
    let expect = "\n[[expect]]\narchitecture = 'Toy'\nsample = { use_bias = false }\n";
    fs::write(dir.path().join("toy.toml"), text + expect)?;
    let (code, out) = test(&[])?;
    assert!(code == 0 && out.starts_with("0 untested conditions"), "{out}");
    Ok(())
}
