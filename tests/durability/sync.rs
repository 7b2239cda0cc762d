//! The order of system calls: the WAL is synced before the response is sent.

use std::{collections::HashMap, fs};

use super::*;
use crate::support::skip;

const BIN: &str = env!("CARGO_BIN_EXE_shop");

/// Returns why strace cannot be used, or `None` if it can.
fn strace_error() -> Option<String> {
    match Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output()
    {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Returns whether strace can be used. If not, the test is skipped.
pub(super) fn has_strace() -> bool {
    strace_error()
        .inspect(|why| skip("STRACE", &format!("strace is not available: {why}")))
        .is_none()
}

/// Returns the system calls of an strace log in the order of their completion, each with arguments and
/// result.
fn calls(log: &str) -> Vec<String> {
    let mut started: HashMap<&str, &str> = HashMap::new();
    let mut completed = Vec::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
            started.insert(thread, beginning);
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let beginning = started.remove(thread).unwrap_or_default();
            let (_, rest) = rest.split_once("resumed>").unwrap_or_default();
            completed.push(format!("{beginning}{rest}"));
        } else {
            completed.push(call.to_owned());
        }
    }
    completed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wal_is_synced_before_the_response_is_sent() {
    if !has_strace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let kettle = product(directory.path(), "Kettle", 129_900, 50);
    // Emails are delayed, so that only the test's requests write.
    RawDb::open(directory.path(), None).run(
        "CREATE TRIGGER later AFTER INSERT ON jobs BEGIN
             UPDATE jobs SET due_at = due_at + 600000 WHERE subject_id = new.subject_id; END",
    );
    let log = directory.path().join("calls");
    let mut strace = Command::new("strace");
    // `-D` keeps the program a child of this test; `-y` shows paths; `-s` shows enough of a response to find
    // its id.
    let calls_of_interest = "trace=fdatasync,fsync,pwrite64,read,recvfrom,write,writev,sendto";
    strace.args([
        "-D",
        "-f",
        "-y",
        "-s",
        "2000",
        "-e",
        calls_of_interest,
        "-o",
    ]);
    strace.arg(&log).arg(BIN);
    let process = Process::start_with(strace, directory.path());
    let ada = Remote::new(&process).registered("ada").await;

    let mut requests = Vec::new();
    for turn in 0..5 {
        let id = format!("sync-put-{turn}");
        let body = json!({ "productId": kettle }).to_string();
        let headers = [
            ("x-request-id", id.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = ada
            .call(http::Method::POST, "/cart", &headers, body)
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
        let order = format!("sync-order-{turn}");
        let headers = [("x-request-id", order.as_str())];
        let answer = ada
            .call(http::Method::POST, "/orders", &headers, "")
            .await
            .unwrap();
        assert_eq!(answer.status, 201);
        requests.extend([id, order]);
    }
    process.terminate();
    let ended = tokio::task::spawn_blocking(|| process.wait())
        .await
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    let deadline = Instant::now() + TIMEOUT;
    let text = loop {
        let text = fs::read_to_string(&log).unwrap();
        if text.trim_end().ends_with("+++ exited with 0 +++") {
            break text;
        }
        assert!(Instant::now() < deadline, "strace did not finish");
        std::thread::sleep(Duration::from_millis(5));
    };

    let calls = calls(&text);
    for id in requests {
        let is_about = |call: &&String| call.contains(&format!("x-request-id: {id}\\r\\n"));
        let mut about = calls.iter().enumerate().filter(|(_, call)| is_about(call));
        let (arrived, request) = about.next().expect("the request is in the log");
        let (sent, response) = about.next().expect("the response is in the log");
        assert!(request.contains("POST /api/v1"), "{request}");
        assert!(response.contains("HTTP/1.1 20"), "{response}");
        let between = &calls[arrived..sent];
        let last = |names: [&str; 2]| {
            let is_it = |call: &String| {
                names.iter().any(|name| call.starts_with(name)) && call.contains("shop.db-wal>")
            };
            between.iter().rposition(is_it)
        };
        let wrote = last(["pwrite64(", "write("]).expect("the WAL was written");
        let synced = last(["fdatasync(", "fsync("]).expect("the WAL was synced");
        assert!(wrote < synced, "{}", between.join("\n"));
        assert!(between[synced].ends_with("= 0"), "{}", between[synced]);
    }
}
