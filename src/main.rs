//! The binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    trueup::cli::run(std::env::args_os()).into()
}
