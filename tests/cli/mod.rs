//! The command line: exit codes, results on stdout and messages on stderr. The tests run the real binary.

mod configuration;
mod csv;
mod orders;
mod pay;
mod products;
mod seed;
mod shop_not_found;
mod usage;

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    Answer, Process, Remote, TestShop, create_shop, new_shop, pictures, run, run_with_input,
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

#[test]
fn wrong_usage_exits_with_code_2() {
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
        let (out, err) = streams(&output);
        assert_eq!(
            (output.status.code(), out.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(!err.is_empty(), "{arguments:?}");
    }
    assert!(
        !directory.path().join("shop.db").exists(),
        "nothing was created"
    );
}

#[test]
fn help_and_version_go_to_stdout() {
    let directory = tempfile::tempdir().unwrap();
    let help = stdout_of(&run(directory.path(), &["--help"]));
    for command in ["serve", "admin", "openapi"] {
        assert!(help.contains(command), "{help}");
    }
    let help = stdout_of(&run(
        directory.path(),
        &["admin", "product", "stock", "--help"],
    ));
    assert!(help.contains("--reason"), "{help}");
    let version = stdout_of(&run(directory.path(), &["--version"]));
    assert_eq!(version, format!("shop {}\n", env!("CARGO_PKG_VERSION")));
    assert!(
        !directory.path().join("shop.db").exists(),
        "nothing was created"
    );
}

#[test]
fn openapi_prints_an_openapi_3_1_document() {
    let directory = tempfile::tempdir().unwrap();
    let text = stdout_of(&run(directory.path(), &["openapi"]));
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(
        document["openapi"].as_str().unwrap().starts_with("3.1."),
        "{}",
        document["openapi"]
    );
    assert!(document["paths"]["/api/v1/orders"]["post"].is_object());
    assert!(
        !directory.path().join("shop.db").exists(),
        "the command needs no shop"
    );
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let script = format!(
        "set -o pipefail; '{}' openapi | head -n 1",
        env!("CARGO_BIN_EXE_shop")
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(stdout_of(&output), "{\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_created_listed_and_given_roles() {
    let directory = new_shop();
    let directory = directory.path();
    let made = add_user(
        directory,
        "ada@example.com",
        "ADMIN",
        &format!("{PASSWORD}\n"),
    );
    let made: Value = serde_json::from_str(&stdout_of(&made)).unwrap();
    assert_eq!(made["email"], "ada@example.com");
    assert_eq!(
        (&made["role"], &made["isEmailVerified"]),
        (&json!("ADMIN"), &json!(true))
    );
    assert!(!made.to_string().contains("assword"), "{made}");
    let as_text = run_with_input(
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
    assert_eq!(stdout_of(&as_text), "created bob@example.com (CUSTOMER)\n");

    let listed = json_of(directory, &["admin", "user", "list"]);
    assert_eq!(
        strings(&listed, "email"),
        ["ada@example.com", "bob@example.com"]
    );
    assert_eq!(strings(&listed, "role"), ["ADMIN", "CUSTOMER"]);
    let table = stdout_of(&run(directory, &["admin", "user", "list"]));
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("bob@example.com"), "{table}");

    // A running server ends the sessions when the role changes.
    let server = Process::start(directory);
    let client = Remote::new(&server);
    assert_eq!(
        sign_in_status(&client, "ada@example.com", PASSWORD).await,
        200
    );
    let session = json!({ "email": "bob@example.com", "password": PASSWORD });
    let token = client
        .post("/auth/login", &session)
        .await
        .text("/accessToken");
    let bob = client.with_token(token);
    assert_eq!(bob.get("/me").await.status, 200);
    let moved = json_of(
        directory,
        &["admin", "user", "role", "BOB@example.com", "admin"],
    );
    assert_eq!(moved["role"], "ADMIN");
    bob.get("/me").await.is_problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_shown_with_sessions_and_orders() {
    let directory = new_shop();
    let directory = directory.path();
    stdout_of(&add_user(directory, "root@example.com", "ADMIN", PASSWORD));
    stdout_of(&add_user(
        directory,
        "ada@example.com",
        "CUSTOMER",
        PASSWORD,
    ));
    let kettle = [
        "admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "9",
    ];
    let kettle = json_of(directory, &kettle)["id"].clone();
    let server = Process::start(directory);
    let client = Remote::new(&server);
    let session = json!({ "email": "ada@example.com", "password": PASSWORD });
    for _ in 0..2 {
        let token = client
            .post("/auth/login", &session)
            .await
            .text("/accessToken");
        let ada = client.with_token(token);
        ada.post("/cart", &json!({ "productId": kettle })).await;
        assert_eq!(ada.post("/orders", &json!({})).await.status, 201);
    }
    let shown = json_of(directory, &["admin", "user", "show", "ADA@example.com"]);
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
    let summary = stdout_of(&run(
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
        assert!(summary.contains(word), "{word}: {summary}");
    }
    stdout_of(&run(
        directory,
        &["admin", "user", "disable", "ada@example.com"],
    ));
    let summary = stdout_of(&run(
        directory,
        &["admin", "user", "show", "ada@example.com"],
    ));
    assert!(
        summary.contains("disabled: since 2") && summary.contains("sessions: 0"),
        "{summary}"
    );
    let error = run_failing(directory, &["admin", "user", "show", "nobody@example.com"]);
    assert!(error.contains("nobody@example.com"), "{error}");
    let error = run_refused(directory, &["admin", "user", "show", "nobody"]);
    assert!(error.contains("EMAIL"), "{error}");
}

#[test]
fn invalid_users_are_refused() {
    let directory = new_shop();
    let directory = directory.path();
    stdout_of(&add_user(directory, "ada@example.com", "ADMIN", PASSWORD));
    for email in ["ada@example.com", "ADA@EXAMPLE.COM"] {
        let error = failure_of(&add_user(directory, email, "CUSTOMER", PASSWORD));
        assert!(error.contains("exists"), "{email}: {error}");
    }
    for (email, password, word) in [
        ("no address", PASSWORD, "--email"),
        ("bob@example.com", "short", "8 to 128"),
        ("bob@example.com", "", "8 to 128"),
        ("bob@example.com", "bob-is-my-password", "mail address"),
    ] {
        let error = usage_failure_of(&add_user(directory, email, "CUSTOMER", password));
        assert!(error.contains(word), "{email} {password}: {error}");
    }
    let error = run_failing(
        directory,
        &["admin", "user", "role", "nobody@example.com", "ADMIN"],
    );
    assert!(error.contains("nobody@example.com"), "{error}");
    let error = run_failing(
        directory,
        &["admin", "user", "role", "ada@example.com", "CUSTOMER"],
    );
    assert!(error.contains("last admin"), "{error}");
    let listed = json_of(directory, &["admin", "user", "list"]);
    assert_eq!(strings(&listed, "email"), ["ada@example.com"]);
}

#[test]
fn categories_are_created_and_listed() {
    let directory = new_shop();
    let directory = directory.path();
    let made = json_of(directory, &["admin", "category", "add", "Tea & Coffee"]);
    assert_eq!(made["name"], "Tea & Coffee");
    let summary = stdout_of(&run(directory, &["admin", "category", "add", "Books"]));
    assert_eq!(summary, "created Books (books)\n");
    run_failing(directory, &["admin", "category", "add", "BOOKS"]);
    run_refused(directory, &["admin", "category", "add", ""]);
    let listed = json_of(directory, &["admin", "category", "list"]);
    assert_eq!(strings(&listed, "name"), ["Books", "Tea & Coffee"]);
    let table = stdout_of(&run(directory, &["admin", "category", "list"]));
    assert_eq!(table.lines().count(), 3, "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_shows_new_products() {
    let directory = new_shop();
    let directory = directory.path();
    let image = directory.join("kettle.picture");
    fs::write(&image, pictures::png()).unwrap();
    let image = image.to_str().unwrap();
    stdout_of(&run(directory, &["admin", "category", "add", "Kitchen"]));
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
        image,
    ];
    let made = json_of(
        directory,
        &[&arguments[..], &more, &["--image", image]].concat(),
    );
    assert_eq!(
        (&made["price"], &made["stockQuantity"]),
        (&json!(129_900), &json!(5))
    );
    assert_eq!(made["category"]["name"], "Kitchen");
    assert_eq!(made["images"].as_array().unwrap().len(), 2);

    let id = made["id"].as_str().unwrap();
    let client = Remote::new(&server);
    let shown = client.get(&format!("/products/{id}")).await;
    assert_eq!(shown.json(), made, "the running server shows the product");
    let url = made["images"][0]["url"].as_str().unwrap();
    assert!(url.starts_with(&server.url), "{url}");
    let image = reqwest::get(url).await.unwrap();
    assert_eq!(image.status().as_u16(), 200);
    assert_eq!(image.headers()["content-type"], "image/png");

    let changed = json_of(
        directory,
        &["admin", "product", "stock", id, "-2", "--reason", "broken"],
    );
    assert_eq!(changed["stockQuantity"], 3);
    let summary = run(
        directory,
        &["admin", "product", "stock", id, "7", "--reason", "found"],
    );
    assert_eq!(stdout_of(&summary), "stock of Kettle: 10\n");
    assert_eq!(
        client
            .get(&format!("/products/{id}"))
            .await
            .number("/stockQuantity"),
        10
    );
    let error = run_failing(
        directory,
        &["admin", "product", "stock", id, "-11", "--reason", "lost"],
    );
    assert!(error.contains("not enough"), "{error}");

    let listed = json_of(directory, &["admin", "product", "list"]);
    assert_eq!(strings(&listed, "name"), ["Kettle"]);
    let table = stdout_of(&run(directory, &["admin", "product", "list"]));
    assert!(table.contains(id) && table.contains("Kitchen"), "{table}");
}

#[test]
fn invalid_products_are_refused() {
    let directory = new_shop();
    let directory = directory.path();
    let text = directory.join("notes.png");
    fs::write(&text, "not a image").unwrap();
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
        let error = run_failing(directory, &[&kettle[..], &more].concat());
        assert!(error.contains(word), "{error}");
    }
    let wrong: [(&[&str], &str); 2] = [
        (&["--description", &"d".repeat(10_001)], "--description"),
        (&nine, "at most 8"),
    ];
    for (more, word) in wrong {
        let error = run_refused(directory, &[&kettle[..], more].concat());
        assert!(error.contains(word), "{error}");
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
        let error = run_refused(directory, &add);
        assert!(error.contains(word), "{error}");
    }
    let nobody = "01900000-0000-7000-8000-000000000000";
    run_failing(
        directory,
        &[
            "admin", "product", "stock", nobody, "1", "--reason", "found",
        ],
    );
    run_refused(
        directory,
        &[
            "admin", "product", "stock", "kettle", "1", "--reason", "found",
        ],
    );
    run_refused(
        directory,
        &[
            "admin", "product", "stock", nobody, "0", "--reason", "nothing",
        ],
    );
    assert_eq!(json_of(directory, &["admin", "product", "list"]), json!([]));
    let images = fs::read_dir(directory.join("images")).map_or(0, Iterator::count);
    assert_eq!(images, 0, "no image is left in the store");
}

#[test]
fn logs_go_to_stderr() {
    let directory = new_shop();
    stdout_of(&add_user(
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
    let (out, err) = streams(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        out.starts_with(" http://127.0.0.1:") && out.lines().count() == 1,
        "{out}"
    );
    assert!(err.contains("stopping"), "{err}");
    for line in err.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    }
}
