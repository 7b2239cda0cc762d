//! The shop as it is in production: with rate limits, behind a proxy, and with a log.

use std::{
    fs::{self, File},
    path::Path,
};

use crate::support::{Server, serve_command};

/// Starts the shop on this data directory, with these environment variables. Its log is a file beside the data
/// directory.
pub(crate) fn start(home: &Path, environment: &[(&str, String)]) -> Server {
    let log = home.with_extension("log");
    let file = File::create(&log).expect("a file");
    let mut command = serve_command(home);
    command
        // Longer than a benchmark takes.
        .env("SHOP_ACCESS_TOKEN_TTL", "6h")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stderr(file);
    Server::try_start(command).unwrap_or_else(|| {
        let log = fs::read_to_string(log).unwrap_or_default();
        panic!("the server did not start: {log}")
    })
}
