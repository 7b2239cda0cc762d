//! What the system sees of a commit: the log is synced before the answer leaves.

use std::{collections::HashMap, fs};

use super::*;
use crate::support::skip;

const BIN: &str = env!("CARGO_BIN_EXE_shop");

/// What stands in the way of watching system calls, if anything does.
fn no_strace() -> Option<String> {
    match Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output()
    {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Whether system calls can be watched here.
pub(super) fn can_watch() -> bool {
    no_strace()
        .inspect(|why| skip("STRACE", &format!("no strace here: {why}")))
        .is_none()
}

/// One system call as it ended: what was called, with its arguments and its result.
fn calls(log: &str) -> Vec<String> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut ended = Vec::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, beginning);
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let beginning = begun.remove(thread).unwrap_or_default();
            let (_, rest) = rest.split_once("resumed>").unwrap_or_default();
            ended.push(format!("{beginning}{rest}"));
        } else {
            ended.push(call.to_owned());
        }
    }
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_synced_before_the_answer_leaves() {
    if !can_watch() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let kettle = product(directory.path(), "Kettle", 129_900, 50);
    // Letters wait, so that nothing writes but what is asked for.
    RawDb::of(directory.path(), None).run(
        "CREATE TRIGGER later AFTER INSERT ON outbox BEGIN
             UPDATE outbox SET due_at = due_at + 600000 WHERE id = new.id; END",
    );
    let log = directory.path().join("calls");
    let mut strace = Command::new("strace");
    // The program stays this test's own child; with paths, and with texts long enough to find an
    // answer by its id.
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

    let mut written = Vec::new();
    for turn in 0..5 {
        let id = format!("r04-put-{turn}");
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
        let order = format!("r04-order-{turn}");
        let headers = [("x-request-id", order.as_str())];
        let answer = ada
            .call(http::Method::POST, "/orders", &headers, "")
            .await
            .unwrap();
        assert_eq!(answer.status, 201);
        written.extend([id, order]);
    }
    process.terminate();
    let ended = tokio::task::spawn_blocking(|| process.wait())
        .await
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        let text = fs::read_to_string(&log).unwrap();
        if text.trim_end().ends_with("+++ exited with 0 +++") {
            break text;
        }
        assert!(Instant::now() < deadline, "strace does not come to its end");
        std::thread::sleep(Duration::from_millis(5));
    };

    let calls = calls(&text);
    for id in written {
        let is_about = |call: &&String| call.contains(&format!("x-request-id: {id}\\r\\n"));
        let mut about = calls.iter().enumerate().filter(|(_, call)| is_about(call));
        let (arrived, request) = about.next().expect("the request is in the log");
        let (left, answer) = about.next().expect("the answer is in the log");
        assert!(request.contains("POST /api/v1"), "{request}");
        assert!(answer.contains("HTTP/1.1 20"), "{answer}");
        let between = &calls[arrived..left];
        let last = |names: [&str; 2]| {
            let is_it = |call: &String| {
                names.iter().any(|name| call.starts_with(name)) && call.contains("shop.db-wal>")
            };
            between.iter().rposition(is_it)
        };
        let wrote = last(["pwrite64(", "write("]).expect("the log was written");
        let synced = last(["fdatasync(", "fsync("]).expect("the log was synced");
        assert!(wrote < synced, "{}", between.join("\n"));
        assert!(between[synced].ends_with("= 0"), "{}", between[synced]);
    }
}
