//! A full disk: writes are refused, reads go on, nothing incomplete is left, and writes work again as soon as there is
//! space.

use std::fs;

use http::Method;

use super::*;
use crate::support::{Form, SmallDisk, TestResponse, images, new_shop, serve};

/// The pages that the first part of the WAL's index describes (<https://www.sqlite.org/walformat.html>). The index is
/// extended by 8 blocks when the WAL gets longer.
const FIRST_INDEX_PAGES: u64 = 4062;

/// The size of a page in the WAL, with its header.
const WAL_PAGE: u64 = 4096 + 24;

async fn add(customer: &Remote, product: &str) -> TestResponse {
    let item = json!({ "productId": product });
    customer.post("/cart", &item).await
}

async fn upload(admin: &Remote) -> TestResponse {
    let form = Form::default().text("name", "Kettle").text("price", "100");
    let form = form.image(&images::png());
    let kind = [("content-type", Form::CONTENT_TYPE)];
    let sent = admin.call(Method::POST, "/products", &kind, form.body());
    sent.await.unwrap()
}

/// Registers an admin.
async fn admin(process: &Process, run: impl Fn(&[&str]) -> std::process::Output) -> Remote {
    Remote::new(process).registered("boss").await;
    let promoted = run(&["admin", "user", "role", "boss@example.com", "ADMIN"]);
    assert!(promoted.status.success(), "{promoted:?}");
    Remote::new(process).signed_in("boss").await
}

/// Collects what a server logs until it ends.
fn log_of(process: &mut Process) -> std::thread::JoinHandle<Vec<String>> {
    let lines = process.stderr_lines();
    std::thread::spawn(move || lines.collect())
}

async fn stopped(process: Process) {
    process.terminate();
    let ended = tokio::task::spawn_blocking(|| process.wait()).await;
    assert!(ended.unwrap().success());
}

/// Returns the error of a command that failed with exit code 1 and one line.
#[track_caller]
fn error_of(output: &std::process::Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[track_caller]
fn assert_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    let here = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(here.path(), 16 * 1024) else {
        return;
    };
    let data_dir = here.path().join("shop");
    let mut program = disk.program();
    // SQLite's temporary files would be here.
    program.env("TMPDIR", here.path());
    let process = Process::start_with(program, &data_dir);
    let run = |arguments: &[&str]| disk.run(&data_dir, arguments);
    let kettle = add_product(run, "Kettle", 129_900, 1000);
    let boss = admin(&process, run).await;
    assert_eq!(add(&boss, &kettle).await.status, 200);

    disk.fill();
    let mut acknowledged = 1;
    let refused = loop {
        let answer = add(&boss, &kettle).await;
        if answer.status != 200 {
            break answer;
        }
        acknowledged += 1;
        assert!(acknowledged < 100, "the disk is not full");
    };
    refused.assert_problem(507, "storage-full");
    let refused = boss.check_out_once("key-1").await.unwrap();
    refused.assert_problem(507, "storage-full");
    let refused = upload(&boss).await;
    refused.assert_problem(507, "storage-full");
    for path in ["/products", "/products?q=kettle", "/cart", "/orders", "/me"] {
        assert_eq!(boss.get(path).await.status, 200, "{path}");
    }
    assert_eq!(boss.get("/cart").await.number("/itemCount"), acknowledged);

    disk.free();
    assert_eq!(add(&boss, &kettle).await.status, 200);
    assert_eq!(upload(&boss).await.status, 201);
    let placed = boss.check_out_once("key-1").await.unwrap();
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(placed.number("/items/0/quantity"), acknowledged + 1);
    stopped(process).await;
    let verified = run(&["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_that_sqlite_reports_as_an_io_error_refuses_writes_as_well() {
    let here = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(here.path(), 40 * 1024) else {
        return;
    };
    let data_dir = here.path().join("shop");
    let mut process = Process::start_with(disk.program(), &data_dir);
    let log = log_of(&mut process);
    let kettle = add_product(
        |arguments| disk.run(&data_dir, arguments),
        "Kettle",
        100,
        1_000_000,
    );
    let ada = Remote::new(&process).registered("ada").await;
    let wal_pages = || {
        let wal = disk.content().join("shop/shop.db-wal");
        fs::metadata(wal).unwrap().len() / WAL_PAGE
    };
    let mut turn = 0;
    while wal_pages() < FIRST_INDEX_PAGES - 100 {
        put(&ada, &kettle).await.unwrap();
        let placed = ada.check_out_once(&format!("key-{turn}")).await.unwrap();
        assert_eq!(placed.status, 201, "{placed:?}");
        turn += 1;
    }
    // Enough for a few pages in the WAL, and not for its index.
    let mut refused = 0;
    for _ in 0..500 {
        disk.leave(7);
        let answer = add(&ada, &kettle).await;
        if answer.status != 200 {
            answer.assert_problem(507, "storage-full");
            assert_eq!(ada.get("/cart").await.status, 200);
            refused += 1;
        }
        if wal_pages() > FIRST_INDEX_PAGES + 10 {
            break;
        }
    }
    assert!(refused > 0 && wal_pages() > FIRST_INDEX_PAGES);
    disk.free();
    assert_eq!(add(&ada, &kettle).await.status, 200);
    stopped(process).await;
    let log = log.join().unwrap();
    // SQLITE_IOERR_SHMSIZE
    let reported = log.iter().any(|line| line.contains("Error code 4874"));
    assert!(reported, "{log:?}");
    let verified = disk.run(&data_dir, &["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_space_names_the_disk() {
    let here = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(here.path(), 16 * 1024) else {
        return;
    };
    let data_dir = here.path().join("shop");
    let place = data_dir.display().to_string();
    let words = [&*place, "the disk is full", "make space"];
    disk.fill();
    let refused = ends(serve(disk.program(), &data_dir, &[]));
    assert_words(&error_of(&refused), &words);
    assert_eq!(disk.names(), Vec::<String>::new());

    disk.free();
    let process = Process::start_with(disk.program(), &data_dir);
    let ada = Remote::new(&process).registered("ada").await;
    process.kill();
    // The index of the WAL must be made again.
    fs::remove_file(disk.content().join("shop/shop.db-shm")).unwrap();
    disk.fill();
    let refused = ends(serve(disk.program(), &data_dir, &[]));
    assert_words(&error_of(&refused), &words);
    disk.free();
    let process = Process::start_with(disk.program(), &data_dir);
    assert_eq!(ada.at(&process).get("/me").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_without_space_leaves_nothing() {
    let here = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("shop.tar.gz");
    let backup = ["backup", file.to_str().unwrap()];
    let Some(disk) = SmallDisk::mount(here.path(), 16 * 1024) else {
        return;
    };
    // The disk of the data directory.
    let data_dir = here.path().join("shop");
    let process = Process::start_with(disk.program(), &data_dir);
    disk.fill();
    let place = data_dir.display().to_string();
    let words = [&*place, "full", "make space"];
    assert_words(&error_of(&disk.run(&data_dir, &backup)), &words);
    assert_words(&error_of(&disk.run(&data_dir, &["backup"])), &words);
    let left = fs::read_dir(disk.content().join("shop")).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|name| name.starts_with('.')).collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    disk.free();
    assert!(disk.run(&data_dir, &backup).status.success());
    stopped(process).await;

    // The disk of the backup.
    let site = new_shop();
    let file = here.path().join("shop.tar.gz");
    let backup = ["backup", file.to_str().unwrap()];
    fs::remove_dir_all(disk.content().join("shop")).unwrap();
    disk.fill();
    let place = here.path().display().to_string();
    let words = [&*place, "shop.tar.gz", "No space left", "make space"];
    assert_words(&error_of(&disk.run(site.path(), &backup)), &words);
    assert_eq!(disk.names(), Vec::<String>::new());
    disk.free();
    assert!(disk.run(site.path(), &backup).status.success());
    assert_eq!(disk.names(), ["shop.tar.gz"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_without_space_is_not_stored() {
    let site = new_shop();
    let directory = site.path().join("images");
    fs::create_dir_all(&directory).unwrap();
    let Some(disk) = SmallDisk::mount(&directory, 1024) else {
        return;
    };
    let process = Process::start_with(disk.program(), site.path());
    let boss = admin(&process, |arguments| run(site.path(), arguments)).await;
    disk.fill();
    upload(&boss).await.assert_problem(507, "storage-full");
    assert_eq!(boss.get("/products").await.number("/total"), 0);
    assert_eq!(disk.names(), Vec::<String>::new());
    disk.free();
    assert_eq!(upload(&boss).await.status, 201);
    assert_eq!(disk.names().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_file_without_space_is_written_later() {
    let site = new_shop();
    let mail = site.path().join("mail");
    fs::create_dir_all(&mail).unwrap();
    let Some(disk) = SmallDisk::mount(&mail, 64) else {
        return;
    };
    disk.fill();
    let mut process = Process::start_with(disk.program(), site.path());
    let lines = process.stderr_lines();
    Remote::new(&process).registered("ada").await;
    let failed = tokio::task::spawn_blocking(move || {
        let mut lines = lines;
        lines.find(|line| line.contains("a background job failed"))
    });
    let failed = tokio::time::timeout(TIMEOUT, failed).await;
    let failed = failed.expect("the failure is logged").unwrap().unwrap();
    let place = mail.display().to_string();
    assert_words(&failed, &[&place, "No space left", "make space"]);
    assert_eq!(disk.names(), Vec::<String>::new());
    process.kill();

    disk.free();
    // A start retries at once.
    let _process = Process::start_with(disk.program(), site.path());
    let deadline = Instant::now() + TIMEOUT;
    while !disk
        .names()
        .iter()
        .any(|name| Path::new(name).extension().is_some_and(|it| it == "eml"))
    {
        assert!(Instant::now() < deadline, "{:?}", disk.names());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
