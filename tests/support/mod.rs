//! What the tests share: running the built program, a folder of one's own, a small system on SQLite and an archive, and
//! seeds that are printed.

pub mod carried;
pub mod counts;
pub mod embedded;
pub mod live;
pub mod pair;
pub mod projector;
pub mod services;

use std::path::Path;
use std::process::Command;

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    line: String,
}

impl Ran {
    /// The exit code must be this one.
    #[track_caller]
    pub fn exit(self, code: i32) -> Ran {
        assert_eq!(
            self.code, code,
            "$ {}\n--- stdout\n{}\n--- stderr\n{}",
            self.line, self.stdout, self.stderr
        );
        self
    }

    /// stderr must say all of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Ran {
        self.has(&self.stderr, words);
        self
    }

    /// stdout must say all of these.
    #[track_caller]
    pub fn shows(self, words: &[&str]) -> Ran {
        self.has(&self.stdout, words);
        self
    }

    #[track_caller]
    fn has(&self, text: &str, words: &[&str]) {
        for word in words {
            assert!(
                text.contains(word),
                "{word:?} is not said by $ {}\n--- stdout\n{}\n--- stderr\n{}",
                self.line,
                self.stdout,
                self.stderr
            );
        }
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.stdout.trim()).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// A command line of the built program.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    command
        .args(args)
        .stdin(std::process::Stdio::null())
        .env("NO_COLOR", "1");
    command
}

/// Runs the built program.
pub fn trueup(args: &[&str]) -> Ran {
    run(&mut command(args))
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let line = format!("{command:?}");
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        line,
    }
}

/// The value of a service's variable; without it the test is skipped, which CI does not allow.
pub fn service(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|v| !v.is_empty());
    if found.is_none() {
        println!(
            "SKIPPED: {variable} is not set; `tests/services run cargo test --release` sets it"
        );
        assert!(
            std::env::var_os("CI").is_none(),
            "{variable} is not set, and CI skips nothing"
        );
    }
    found
}

/// The seed of a random test: `TRUEUP_SEED`, or a new one. It is printed either way.
pub fn seed() -> u64 {
    let seed = std::env::var("TRUEUP_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(rand::random);
    println!("TRUEUP_SEED={seed}");
    seed
}

/// `small` in CI, `full` when `tests/prove` asks for the full figures.
pub fn size(small: usize, full: usize) -> usize {
    if std::env::var_os("TRUEUP_PROVE").is_some() {
        full
    } else {
        small
    }
}

/// A path as text.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
