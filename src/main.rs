//! Entry point: hands over to [`shop::cli::main`].

use std::process::ExitCode;

fn main() -> ExitCode {
    shop::cli::main()
}
