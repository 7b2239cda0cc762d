//! Entry point: hands over to [`shop::cli::main`].

use std::process::ExitCode;

/// The allocator of musl has one lock for all threads, which a server with many of them waits for, and it returns little
/// memory to the system.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    shop::cli::main()
}
