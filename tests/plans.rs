//! The programs that definitions become for the tiny recorded configs: what `omni plan DIR` prints.

use std::error::Error;
use std::path::Path;
use std::process::Command;

#[test]
fn plans_are_as_recorded() -> Result<(), Box<dyn Error>> {
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
    let empty = tempfile::tempdir()?;
    for model in ["LlamaForCausalLM", "Qwen3MoeForCausalLM", "Mamba2ForCausalLM", "BertModel", "ViTModel"] {
        let out = Command::new(env!("CARGO_BIN_EXE_omni"))
            .args(["plan", model])
            .current_dir(&parity)
            .env("XDG_CONFIG_HOME", empty.path())
            .env_remove("OMNI_REGISTRY")
            .output()?;
        assert!(out.status.success(), "{model}: {}", String::from_utf8_lossy(&out.stderr));
        insta::assert_snapshot!(model, String::from_utf8(out.stdout)?);
    }
    Ok(())
}
