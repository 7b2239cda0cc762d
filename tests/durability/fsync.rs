//! A failing disk (EIO from fsync): no write is acknowledged after the failure, the program ends, and all
//! earlier acknowledged writes are kept.

use std::fs;

use http::Method;

use super::{sync::has_strace, *};
use crate::support::{Site, TestResponse, sqlite_test};

const BIN: &str = env!("CARGO_BIN_EXE_shop");

/// Returns a command that runs the program with failing fsyncs of `file`, selected by strace's `when`
/// (counted per thread). All calls that could modify the file are logged.
fn with_failing_fsync(file: &Path, when: &str, log: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-D", "-f", "-y", "-o"]).arg(log);
    strace.arg("-P").arg(file);
    strace.args(["-e", "trace=fdatasync,fsync,pwrite64,ftruncate,unlink"]);
    strace.args([
        "-e",
        &format!("inject=fdatasync,fsync:error=EIO:when={when}"),
    ]);
    strace.arg(BIN);
    strace
}

/// Waits for the end of the program. Returns its exit status and the lines of stderr.
async fn ended(mut process: Process) -> (std::process::ExitStatus, Vec<String>) {
    let lines = process.stderr_lines();
    let wait = tokio::task::spawn_blocking(move || (process.wait(), lines.collect()));
    let ended = tokio::time::timeout(TIMEOUT, wait).await;
    ended.expect("the program ends by itself").unwrap()
}

async fn add(customer: &Remote, product: &str) -> reqwest::Result<TestResponse> {
    let body = json!({ "productId": product }).to_string();
    let kind = [("content-type", "application/json")];
    customer.call(Method::POST, "/cart", &kind, body).await
}

/// Adds to a cart until an fsync fails. Asserts that the cart contains all acknowledged units after a
/// restart.
async fn loses_nothing(site: Site, when: &str) {
    if !has_strace() {
        return;
    }
    let kettle = site.product("Kettle", 100, 1000);
    let process = site.start();
    let ada = Remote::new(&process).registered("ada").await;
    process.terminate();
    tokio::task::spawn_blocking(|| process.wait())
        .await
        .unwrap();

    let (wal, log) = (site.path().join("shop.db-wal"), site.path().join("calls"));
    let process = site.start_under(with_failing_fsync(&wal, when, &log));
    let ada = ada.at(&process);
    let mut acknowledged = 0;
    let refused = loop {
        match add(&ada, &kettle).await {
            Ok(answer) if answer.status == 200 => acknowledged += 1,
            other => break other,
        }
        assert!(acknowledged < 200, "no fsync has failed");
    };
    if let Ok(answer) = refused {
        answer.assert_problem(503, "unavailable");
        assert!(answer.header("retry-after").is_some());
    }
    // As long as the program runs, it reports the failure.
    let ready = reqwest::get(format!("{}/readyz", process.url)).await;
    assert!(ready.is_err() || ready.is_ok_and(|ready| ready.status() == 503));
    if let Ok(answer) = add(&ada, &kettle).await {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    let (status, lines) = ended(process).await;
    assert_eq!(status.code(), Some(1), "{lines:?}");
    let reports = lines
        .iter()
        .filter(|line| line.contains("fsync failed"))
        .count();
    assert_eq!(reports, 1, "{lines:?}");
    assert!(
        lines.last().unwrap().starts_with("error: stopped"),
        "{lines:?}"
    );
    let calls = fs::read_to_string(&log).unwrap();
    let (_, after) = calls.split_once("EIO").expect("an fsync has failed");
    let touched: Vec<_> = after
        .lines()
        .skip(1)
        .filter(|call| call.contains("shop.db-wal"))
        .collect();
    assert_eq!(touched, Vec::<&str>::new(), "the WAL is not modified");

    let process = site.start();
    let kept = ada.at(&process).get("/cart").await.number("/itemCount");
    let unanswered = acknowledged + 1;
    assert!(
        (acknowledged..=unanswered).contains(&kept),
        "{kept} of {acknowledged}"
    );
    site.raw_db().assert_invariants();
}

sqlite_test! {
    async fn one_failed_fsync_ends_the_program(site: Site) {
        loses_nothing(site, "30").await;
    }

    async fn permanently_failing_fsyncs_end_the_program(site: Site) {
        loses_nothing(site, "30+").await;
    }

    async fn a_failed_fsync_of_a_checkpoint_ends_the_program_with_an_error(site: Site) {
        if !has_strace() {
            return;
        }
        let kettle = site.product("Kettle", 100, 1000);
        let (database, log) = (site.path().join("shop.db"), site.path().join("calls"));
        let process = site.start_under(with_failing_fsync(&database, "1+", &log));
        let ada = Remote::new(&process).registered("ada").await;
        for _ in 0..3 {
            assert_eq!(add(&ada, &kettle).await.unwrap().status, 200);
        }
        process.terminate();
        let (status, lines) = ended(process).await;
        assert_eq!(status.code(), Some(1), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("fsync failed")), "{lines:?}");
        let process = site.start();
        assert_eq!(ada.at(&process).get("/cart").await.number("/itemCount"), 3);
        site.raw_db().assert_invariants();
    }

    async fn a_migration_with_a_failed_fsync_is_repeated_by_the_next_start(site: Site) {
        if !has_strace() {
            return;
        }
        let data_dir = site.path().join("new");
        let (wal, log) = (data_dir.join("shop.db-wal"), site.path().join("calls"));
        let mut start = with_failing_fsync(&wal, "1+", &log);
        start.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data_dir);
        let output = ends(start);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(why.contains("cannot migrate the database"), "{why}");
        let process = Process::start(&data_dir);
        Remote::new(&process).registered("ada").await;
        assert!(run(&data_dir, &["verify"]).status.success());
    }

    async fn an_export_with_a_failed_fsync_fails(site: Site) {
        if !has_strace() {
            return;
        }
        site.product("Kettle", 100, 1000);
        let (csv, log) = (site.path().join("out.csv"), site.path().join("calls"));
        // No path filter: the name of the temporary file is not known.
        let mut export = Command::new("strace");
        export.args(["-D", "-f", "-o"]).arg(&log);
        export.args(["-e", "trace=fsync", "-e", "inject=fsync:error=EIO"]).arg(BIN);
        export.args(["admin", "product", "export"]).arg(&csv);
        export.arg("--data-dir").arg(site.path());
        let output = ends(export);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!csv.exists());
    }

    async fn a_key_with_a_failed_fsync_is_created_by_the_next_start(site: Site) {
        if !has_strace() {
            return;
        }
        let (keys, log) = (site.path().join("keys"), site.path().join("calls"));
        let mut start = with_failing_fsync(&keys, "1+", &log);
        start.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(site.path());
        let output = ends(start);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let left: Vec<_> = fs::read_dir(&keys).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let process = site.start();
        Remote::new(&process).registered("ada").await;
    }

    async fn an_image_with_a_failed_fsync_is_not_stored(site: Site) {
        if !has_strace() {
            return;
        }
        let process = site.start();
        Remote::new(&process).registered("boss").await;
        site.run(&["admin", "user", "role", "boss@example.com", "ADMIN"]);
        let boss = Remote::new(&process).signed_in("boss").await;
        process.terminate();
        tokio::task::spawn_blocking(|| process.wait()).await.unwrap();

        let (images, log) = (site.path().join("images"), site.path().join("calls"));
        fs::create_dir_all(&images).unwrap();
        let process = site.start_under(with_failing_fsync(&images, "1+", &log));
        let boss = boss.at(&process);
        let form = crate::support::Form::default()
            .text("name", "Kettle").text("price", "100")
            .image(&crate::support::images::png());
        let kind = [("content-type", crate::support::Form::CONTENT_TYPE)];
        let refused = boss.call(Method::POST, "/products", &kind, form.body()).await.unwrap();
        assert!(refused.status >= 500, "{refused:?}");
        assert_eq!(boss.get("/products").await.number("/total"), 0);
    }
}
