//! The committed completions are those that the program prints.

use crate::support::trueup;

#[test]
fn are_fresh() {
    for (shell, file) in [
        ("bash", "trueup.bash"),
        ("zsh", "_trueup"),
        ("fish", "trueup.fish"),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("completions")
            .join(file);
        let printed = trueup(&["completions", shell]).exit(0).stdout;
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            printed == committed,
            "completions/{file} is stale: cargo run --release -- completions {shell} > completions/{file}"
        );
    }
}
