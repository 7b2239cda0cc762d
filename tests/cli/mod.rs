//! The command line: exit codes, results on stdout and messages on stderr. The tests run the real binary.

mod configuration;
mod csv;
mod data_dir;
mod demo;
mod doctor;
mod documented;
mod generated;
mod healthcheck;
mod migrate;
mod orders;
mod output;
mod pay;
mod products;
mod recipe;
mod seed;
mod serve;
mod shop_not_found;
mod simulator;
mod startup_warnings;
mod usage;
mod users;
mod watch;

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    Process, Remote, TestResponse, TestShop, create_shop, images, new_shop, run, run_with_input,
};

const PASSWORD: &str = "correct horse battery";

/// Returns the stdout of a command. Panics unless it succeeded and printed nothing to stderr.
#[track_caller]
fn stdout_of(output: &Output) -> String {
    let (out, err) = streams(output);
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert_eq!(err, "");
    out
}

/// Like [`json_of`], for a command on a test's shop.
#[track_caller]
fn json_on(shop: &TestShop, arguments: &[&str]) -> Value {
    let text = stdout_of(&shop.run(&[arguments, &["--json"]].concat()));
    serde_json::from_str(&text).unwrap()
}

/// Returns stdout and stderr.
fn streams(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// Returns what a command prints with `--json`.
#[track_caller]
fn json_of(directory: &Path, arguments: &[&str]) -> Value {
    let text = stdout_of(&run(directory, &[arguments, &["--json"]].concat()));
    serde_json::from_str(&text).unwrap()
}

/// Returns the error of a command. Panics unless it exited with 1, with one line on stderr and nothing on stdout.
#[track_caller]
fn failure_of(output: &Output) -> String {
    failure_with_code(output, 1)
}

/// Like [`failure_of`], for an invalid flag or setting: exit code 2.
#[track_caller]
fn usage_failure_of(output: &Output) -> String {
    failure_with_code(output, 2)
}

#[track_caller]
fn failure_with_code(output: &Output, code: i32) -> String {
    let (out, err) = streams(output);
    assert_eq!(
        (output.status.code(), out.as_str()),
        (Some(code), ""),
        "{err}"
    );
    let error = err
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("{err}"));
    assert_eq!(error.lines().count(), 1, "{error}");
    error.trim_end().to_owned()
}

/// Runs a command that must exit with 1, and returns its error.
#[track_caller]
fn run_failing(directory: &Path, arguments: &[&str]) -> String {
    failure_of(&run(directory, arguments))
}

/// Runs a command that must exit with 2, and returns its error.
#[track_caller]
fn run_refused(directory: &Path, arguments: &[&str]) -> String {
    usage_failure_of(&run(directory, arguments))
}

fn add_user(directory: &Path, email: &str, role: &str, password: &str) -> Output {
    let arguments = [
        "admin", "user", "add", "--email", email, "--name", "Ada", "--role", role,
    ];
    let arguments = [&arguments[..], &["--password-stdin", "--json"]].concat();
    run_with_input(directory, &arguments, password)
}

fn strings(rows: &Value, field: &str) -> Vec<String> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

async fn sign_in_status(client: &Remote, email: &str, password: &str) -> u16 {
    let session = json!({ "email": email, "password": password });
    client.post("/auth/login", &session).await.status
}
