//! The command line, as operators and scripts use it: the real program, its exit codes, and what it
//! prints where.

mod configuration;
mod help;
mod missing;
mod orders;
mod pay;
mod products;
mod seed;
mod sheets;

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    Answer, Process, Remote, create_shop, new_shop, pictures, run, run_with_input,
};

const PASSWORD: &str = "correct horse battery";

/// The standard output of a command that must do its work; nothing else is said.
#[track_caller]
fn said(output: &Output) -> String {
    let (out, err) = texts(output);
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert_eq!(err, "");
    out
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// What a command prints with `--json`.
#[track_caller]
fn told(directory: &Path, arguments: &[&str]) -> Value {
    let text = said(&run(directory, &[arguments, &["--json"]].concat()));
    serde_json::from_str(&text).unwrap()
}

/// The one line of a command that must fail: exit 1, and nothing on standard output.
#[track_caller]
fn why_failed(output: &Output) -> String {
    why_exited(output, 1)
}

/// As [`why_failed`], for a flag or a setting that is wrong in itself: exit 2.
#[track_caller]
fn why_refused(output: &Output) -> String {
    why_exited(output, 2)
}

#[track_caller]
fn why_exited(output: &Output, code: i32) -> String {
    let (out, err) = texts(output);
    assert_eq!(
        (output.status.code(), out.as_str()),
        (Some(code), ""),
        "{err}"
    );
    let why = err
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("{err}"));
    assert_eq!(why.lines().count(), 1, "{why}");
    why.trim_end().to_owned()
}

#[track_caller]
fn fails(directory: &Path, arguments: &[&str]) -> String {
    why_failed(&run(directory, arguments))
}

#[track_caller]
fn refuses(directory: &Path, arguments: &[&str]) -> String {
    why_refused(&run(directory, arguments))
}

fn add_user(directory: &Path, email: &str, role: &str, password: &str) -> Output {
    let arguments = [
        "admin", "user", "add", "--email", email, "--name", "Ada", "--role", role,
    ];
    let arguments = [&arguments[..], &["--password-stdin", "--json"]].concat();
    run_with_input(directory, &arguments, password)
}

fn texts_of(rows: &Value, field: &str) -> Vec<String> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

async fn signs_in(visitor: &Remote, email: &str, password: &str) -> u16 {
    let session = json!({ "email": email, "password": password });
    visitor.post("/auth/login", &session).await.status
}

#[test]
fn wrong_usage_exits_with_two() {
    let directory = tempfile::tempdir().unwrap();
    let wrong: [&[&str]; 11] = [
        &[],
        &["sell"],
        &["admin"],
        &["admin", "user", "add"],
        &["admin", "user", "add", "--email", "a@example.com"],
        &["admin", "user", "role", "a@example.com", "BOSS"],
        &[
            "admin", "product", "add", "--name", "Kettle", "--price", "much", "--stock", "1",
        ],
        &["admin", "product", "stock", "ID"],
        &["admin", "category", "add", "One", "Two"],
        &["admin", "user", "list", "--verbose"],
        &["serve", "--port", "80"],
    ];
    for arguments in wrong {
        let output = run(directory.path(), arguments);
        let (out, err) = texts(&output);
        assert_eq!(
            (output.status.code(), out.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(!err.is_empty(), "{arguments:?}");
    }
    assert!(
        !directory.path().join("shop.db").exists(),
        "nothing was made"
    );
}

#[test]
fn help_and_version_are_results() {
    let directory = tempfile::tempdir().unwrap();
    let help = said(&run(directory.path(), &["--help"]));
    for command in ["serve", "admin", "openapi"] {
        assert!(help.contains(command), "{help}");
    }
    let help = said(&run(
        directory.path(),
        &["admin", "product", "stock", "--help"],
    ));
    assert!(help.contains("--reason"), "{help}");
    let version = said(&run(directory.path(), &["--version"]));
    assert_eq!(version, format!("shop {}\n", env!("CARGO_PKG_VERSION")));
    assert!(
        !directory.path().join("shop.db").exists(),
        "nothing was made"
    );
}

#[test]
fn the_document_is_openapi_3_1() {
    let directory = tempfile::tempdir().unwrap();
    let text = said(&run(directory.path(), &["openapi"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1."),
        "{}",
        document["openapi"]
    );
    assert!(document["paths"]["/api/v1/orders"]["post"].is_object());
    assert!(
        !directory.path().join("shop.db").exists(),
        "it needs no shop"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let script = format!(
        "set -o pipefail; '{}' openapi | head -n 1",
        env!("CARGO_BIN_EXE_shop")
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(said(&output), "{\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_added_listed_and_given_roles() {
    let directory = new_shop();
    let directory = directory.path();
    let made = add_user(
        directory,
        "ada@example.com",
        "ADMIN",
        &format!("{PASSWORD}\n"),
    );
    let made: Value = serde_json::from_str(&said(&made)).unwrap();
    assert_eq!(made["email"], "ada@example.com");
    assert_eq!(
        (&made["role"], &made["isEmailVerified"]),
        (&json!("ADMIN"), &json!(true))
    );
    assert!(!made.to_string().contains("assword"), "{made}");
    let in_words = run_with_input(
        directory,
        &[
            "admin",
            "user",
            "add",
            "--email",
            "bob@example.com",
            "--name",
            "Bob",
            "--password-stdin",
        ],
        PASSWORD,
    );
    assert_eq!(said(&in_words), "made bob@example.com (CUSTOMER)\n");

    let listed = told(directory, &["admin", "user", "list"]);
    assert_eq!(
        texts_of(&listed, "email"),
        ["ada@example.com", "bob@example.com"]
    );
    assert_eq!(texts_of(&listed, "role"), ["ADMIN", "CUSTOMER"]);
    let table = said(&run(directory, &["admin", "user", "list"]));
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("bob@example.com"), "{table}");

    // Beside a running server, whose sessions end with the role.
    let server = Process::start(directory);
    let visitor = Remote::new(&server);
    assert_eq!(signs_in(&visitor, "ada@example.com", PASSWORD).await, 200);
    let session = json!({ "email": "bob@example.com", "password": PASSWORD });
    let token = visitor
        .post("/auth/login", &session)
        .await
        .text("/accessToken");
    let bob = visitor.with_token(token);
    assert_eq!(bob.get("/me").await.status, 200);
    let moved = told(
        directory,
        &["admin", "user", "role", "BOB@example.com", "admin"],
    );
    assert_eq!(moved["role"], "ADMIN");
    bob.get("/me").await.is_problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_shown_with_its_sessions_and_orders() {
    let directory = new_shop();
    let directory = directory.path();
    said(&add_user(directory, "root@example.com", "ADMIN", PASSWORD));
    said(&add_user(
        directory,
        "ada@example.com",
        "CUSTOMER",
        PASSWORD,
    ));
    let kettle = [
        "admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "9",
    ];
    let kettle = told(directory, &kettle)["id"].clone();
    let server = Process::start(directory);
    let visitor = Remote::new(&server);
    let session = json!({ "email": "ada@example.com", "password": PASSWORD });
    for _ in 0..2 {
        let token = visitor
            .post("/auth/login", &session)
            .await
            .text("/accessToken");
        let ada = visitor.with_token(token);
        ada.post("/cart", &json!({ "productId": kettle })).await;
        assert_eq!(ada.post("/orders", &json!({})).await.status, 201);
    }
    let shown = told(directory, &["admin", "user", "show", "ADA@example.com"]);
    assert_eq!(shown["email"], "ada@example.com");
    assert_eq!(
        (&shown["isDisabled"], &shown["disabledAt"]),
        (&json!(false), &Value::Null)
    );
    let sessions = shown["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{shown}");
    for field in ["signedInAt", "expiresAt"] {
        assert!(sessions[0][field].is_string(), "{shown}");
    }
    assert_eq!(sessions[0]["refreshedAt"], Value::Null);
    assert_eq!(shown["orders"]["total"], 2);
    let newest = shown["orders"]["newest"].as_str().unwrap();
    assert!(!shown.to_string().contains("assword"), "{shown}");
    let words = said(&run(
        directory,
        &["admin", "user", "show", "ada@example.com"],
    ));
    for word in [
        "ada@example.com\n",
        "role: CUSTOMER",
        "disabled: no",
        "sessions: 2",
        newest,
    ] {
        assert!(words.contains(word), "{word}: {words}");
    }
    said(&run(
        directory,
        &["admin", "user", "disable", "ada@example.com"],
    ));
    let words = said(&run(
        directory,
        &["admin", "user", "show", "ada@example.com"],
    ));
    assert!(
        words.contains("disabled: since 2") && words.contains("sessions: 0"),
        "{words}"
    );
    let why = fails(directory, &["admin", "user", "show", "nobody@example.com"]);
    assert!(why.contains("nobody@example.com"), "{why}");
    let why = refuses(directory, &["admin", "user", "show", "nobody"]);
    assert!(why.contains("EMAIL"), "{why}");
}

#[test]
fn users_that_cannot_be_are_refused() {
    let directory = new_shop();
    let directory = directory.path();
    said(&add_user(directory, "ada@example.com", "ADMIN", PASSWORD));
    for email in ["ada@example.com", "ADA@EXAMPLE.COM"] {
        let why = why_failed(&add_user(directory, email, "CUSTOMER", PASSWORD));
        assert!(why.contains("exists"), "{email}: {why}");
    }
    for (email, password, word) in [
        ("no address", PASSWORD, "--email"),
        ("bob@example.com", "short", "8 to 128"),
        ("bob@example.com", "", "8 to 128"),
        ("bob@example.com", "bob-is-my-password", "mail address"),
    ] {
        let why = why_refused(&add_user(directory, email, "CUSTOMER", password));
        assert!(why.contains(word), "{email} {password}: {why}");
    }
    let why = fails(
        directory,
        &["admin", "user", "role", "nobody@example.com", "ADMIN"],
    );
    assert!(why.contains("nobody@example.com"), "{why}");
    let why = fails(
        directory,
        &["admin", "user", "role", "ada@example.com", "CUSTOMER"],
    );
    assert!(why.contains("last admin"), "{why}");
    let listed = told(directory, &["admin", "user", "list"]);
    assert_eq!(texts_of(&listed, "email"), ["ada@example.com"]);
}

#[test]
fn categories_are_added_and_listed() {
    let directory = new_shop();
    let directory = directory.path();
    let made = told(directory, &["admin", "category", "add", "Tea & Coffee"]);
    assert_eq!(made["name"], "Tea & Coffee");
    let words = said(&run(directory, &["admin", "category", "add", "Books"]));
    assert_eq!(words, "made Books (books)\n");
    fails(directory, &["admin", "category", "add", "BOOKS"]);
    refuses(directory, &["admin", "category", "add", ""]);
    let listed = told(directory, &["admin", "category", "list"]);
    assert_eq!(texts_of(&listed, "name"), ["Books", "Tea & Coffee"]);
    let table = said(&run(directory, &["admin", "category", "list"]));
    assert_eq!(table.lines().count(), 3, "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_are_added_and_seen_by_a_running_server() {
    let directory = new_shop();
    let directory = directory.path();
    let picture = directory.join("kettle.picture");
    fs::write(&picture, pictures::png()).unwrap();
    let picture = picture.to_str().unwrap();
    said(&run(directory, &["admin", "category", "add", "Kitchen"]));
    let server = Process::start(directory);

    let arguments = [
        "admin", "product", "add", "--name", "Kettle", "--price", "129900",
    ];
    let more = [
        "--stock",
        "5",
        "--category",
        "kitchen",
        "--description",
        "Boils.",
        "--image",
        picture,
    ];
    let made = told(
        directory,
        &[&arguments[..], &more, &["--image", picture]].concat(),
    );
    assert_eq!(
        (&made["price"], &made["stockQuantity"]),
        (&json!(129_900), &json!(5))
    );
    assert_eq!(made["category"]["name"], "Kitchen");
    assert_eq!(made["images"].as_array().unwrap().len(), 2);

    let id = made["id"].as_str().unwrap();
    let visitor = Remote::new(&server);
    let shown = visitor.get(&format!("/products/{id}")).await;
    assert_eq!(shown.json(), made, "the running server shows what was made");
    let url = made["images"][0]["url"].as_str().unwrap();
    assert!(url.starts_with(&server.url), "{url}");
    let image = reqwest::get(url).await.unwrap();
    assert_eq!(image.status().as_u16(), 200);
    assert_eq!(image.headers()["content-type"], "image/png");

    let changed = told(
        directory,
        &["admin", "product", "stock", id, "-2", "--reason", "broken"],
    );
    assert_eq!(changed["stockQuantity"], 3);
    let words = run(
        directory,
        &["admin", "product", "stock", id, "7", "--reason", "found"],
    );
    assert_eq!(said(&words), "Kettle has 10 now\n");
    assert_eq!(
        visitor
            .get(&format!("/products/{id}"))
            .await
            .number("/stockQuantity"),
        10
    );
    let why = fails(
        directory,
        &["admin", "product", "stock", id, "-11", "--reason", "lost"],
    );
    assert!(why.contains("not enough"), "{why}");

    let listed = told(directory, &["admin", "product", "list"]);
    assert_eq!(texts_of(&listed, "name"), ["Kettle"]);
    let table = said(&run(directory, &["admin", "product", "list"]));
    assert!(table.contains(id) && table.contains("Kitchen"), "{table}");
}

#[test]
fn products_that_cannot_be_are_refused() {
    let directory = new_shop();
    let directory = directory.path();
    let text = directory.join("notes.png");
    fs::write(&text, "not a picture").unwrap();
    let text = text.to_str().unwrap();
    let kettle = [
        "admin", "product", "add", "--name", "Kettle", "--price", "129900", "--stock", "5",
    ];
    let nine = ["--image", text].repeat(9);
    let failing = [
        (["--category", "Kitchen"], "shop admin category add"),
        (["--image", text], "notes.png"),
        (["--image", "nowhere.png"], "nowhere.png"),
    ];
    for (more, word) in failing {
        let why = fails(directory, &[&kettle[..], &more].concat());
        assert!(why.contains(word), "{why}");
    }
    let wrong: [(&[&str], &str); 2] = [
        (&["--description", &"d".repeat(10_001)], "--description"),
        (&nine, "at most 8"),
    ];
    for (more, word) in wrong {
        let why = refuses(directory, &[&kettle[..], more].concat());
        assert!(why.contains(word), "{why}");
    }
    for (name, price, stock, word) in [
        ("", "1", "1", "--name"),
        ("Kettle", "0", "1", "--price"),
        ("Kettle", "100000000001", "1", "--price"),
        ("Kettle", "1", "1000000001", "--stock"),
    ] {
        let add = [
            "admin", "product", "add", "--name", name, "--price", price, "--stock", stock,
        ];
        let why = refuses(directory, &add);
        assert!(why.contains(word), "{why}");
    }
    let nobody = "01900000-0000-7000-8000-000000000000";
    fails(
        directory,
        &[
            "admin", "product", "stock", nobody, "1", "--reason", "found",
        ],
    );
    refuses(
        directory,
        &[
            "admin", "product", "stock", "kettle", "1", "--reason", "found",
        ],
    );
    refuses(
        directory,
        &[
            "admin", "product", "stock", nobody, "0", "--reason", "nothing",
        ],
    );
    assert_eq!(told(directory, &["admin", "product", "list"]), json!([]));
    let images = fs::read_dir(directory.join("images")).map_or(0, Iterator::count);
    assert_eq!(images, 0, "no picture is left behind");
}

#[test]
fn logs_never_mix_with_results() {
    let directory = new_shop();
    said(&add_user(
        directory.path(),
        "ada@example.com",
        "ADMIN",
        PASSWORD,
    ));
    let mut server = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--data-dir",
        ])
        .arg(directory.path())
        .env("SHOP_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 12];
    server
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    assert_eq!(&first, b"listening on");
    let stop = Command::new("kill")
        .arg(server.id().to_string())
        .status()
        .unwrap();
    assert!(stop.success());
    let output = server.wait_with_output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        out.starts_with(" http://127.0.0.1:") && out.lines().count() == 1,
        "{out}"
    );
    assert!(err.contains("stopping"), "{err}");
    for line in err.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    }
}
