//! `shop serve`: addresses, demos, and servers that fail to start.

use std::net::TcpListener;

use super::{
    configuration::{LIST, output, shop},
    shop_not_found::{files_in, in_directory},
    *,
};
use crate::support::ends;

/// Arguments and variables of a server that must not start, its exit code, and part of its error.
type Failing<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

#[test]
fn a_server_that_fails_to_start_leaves_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = ["--listen", "127.0.0.1:0"];
    let nowhere = format!("postgres://ada@{address}/shop?connect_timeout=1");
    let failing: [Failing<'_>; 13] = [
        (
            &["--listen", &address],
            &[],
            1,
            "another program uses this port",
        ),
        (&["--listen", "192.0.2.1:80"], &[], 1, "no such address"),
        (&["--listen", "8080"], &[], 2, "127.0.0.1:8080"),
        (&free, &[("SHOP_JWT_SECRET", "short")], 2, "jwt_secret"),
        (&free, &[("SHOP_CURRENCY", "GOLD")], 2, "currency"),
        (
            &free,
            &[("SHOP_SMTP_URL", "smtp://mail.example")],
            2,
            "mail_from",
        ),
        (&free, &[("SHOP_MAIL_FROM", "nobody")], 2, "mail_from"),
        (
            &free,
            &[("SHOP_RAZORPAY_KEY_ID", "rzp_test_1")],
            2,
            "razorpay_key_secret",
        ),
        (&free, &[("SHOP_IMAGES_URL", "bucket")], 2, "images_url"),
        (&free, &[("CLOUDINARY_URL", "cloud")], 2, "cloudinary"),
        (
            &free,
            &[
                ("SHOP_IMAGES_URL", "s3://bucket"),
                ("AWS_ACCESS_KEY_ID", "id"),
            ],
            2,
            "aws_secret_access_key",
        ),
        (&free, &[("SHOP_LOG", "shop=loud")], 2, "log"),
        (&["--demo", "--listen", "0.0.0.0:0"], &[], 2, "--yes-public"),
    ];
    for (arguments, variables, code, word) in failing {
        let here = tempfile::tempdir().unwrap();
        let mut command = in_directory(here.path(), None, &["serve", "--data-dir", "some/where"]);
        command.args(arguments).envs(variables.iter().copied());
        let error = failure_with_code(&ends(command), code);
        assert!(
            error.to_lowercase().contains(word),
            "{arguments:?} {variables:?}: {error}"
        );
        assert!(
            files_in(here.path()).is_empty(),
            "{arguments:?} {variables:?}"
        );
    }
    let here = tempfile::tempdir().unwrap();
    let mut command = in_directory(here.path(), None, &["serve"]);
    command.envs([
        ("SHOP_SMTP_URL", "smtp://mail.example"),
        ("SHOP_RAZORPAY_KEY_ID", "rzp_test_1"),
        ("SHOP_TLS_CERT", "cert.pem"),
        ("SHOP_BACKUP_WAL", "on"),
    ]);
    let error = failure_with_code(&ends(command), 2);
    for part in [
        "4 settings",
        "`mail_from`",
        "`razorpay_key_secret` and `razorpay_webhook_secret`",
        "`tls_key`",
        "SHOP_BACKUP_URL",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    drop(taken);
    let here = tempfile::tempdir().unwrap();
    let mut command = in_directory(here.path(), None, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("SHOP_DATABASE_URL", nowhere);
    failure_of(&ends(command));
    assert!(files_in(here.path()).is_empty());
}

#[test]
fn a_server_that_fails_late_leaves_existing_files() {
    // This error is found only in the directory: an invalid key that an operator has put there.
    let here = tempfile::tempdir().unwrap();
    let keys = here.path().join("shop-data/keys");
    fs::create_dir_all(&keys).unwrap();
    for (content, word) in [("too short", "16 bytes"), ("", "is empty")] {
        fs::write(keys.join("razorpay_webhook_secret"), content).unwrap();
        let before = files_in(here.path());
        let command = in_directory(here.path(), None, &["serve", "--listen", "127.0.0.1:0"]);
        let output = ends(command);
        assert!(!output.status.success());
        let (out, err) = streams(&output);
        assert!(out.is_empty() && err.contains(word), "{err}");
        assert_eq!(files_in(here.path()), before);
    }
    // A demo does not touch a real shop.
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    let before = files_in(here.path());
    let demo = ["serve", "--demo", "--listen", "127.0.0.1:0"];
    failure_of(&ends(in_directory(here.path(), None, &demo)));
    assert_eq!(files_in(here.path()), before);
    let mut server = in_directory(here.path(), None, &["admin", "category", "add", "Books"]);
    stdout_of(&server.env("SHOP_CURRENCY", "EUR").output().unwrap());
    let mut server = in_directory(here.path(), None, &["serve", "--listen", "127.0.0.1:0"]);
    server.env("SHOP_CURRENCY", "INR");
    usage_failure_of(&ends(server));
    let mut list = in_directory(here.path(), None, &["admin", "category", "list"]);
    let listed = stdout_of(&list.env("SHOP_CURRENCY", "EUR").output().unwrap());
    assert!(listed.contains("Books"), "{listed}");
}

#[test]
fn a_demo_stays_on_one_machine() {
    let here = tempfile::tempdir().unwrap();
    let public = ["serve", "--demo", "--listen", "0.0.0.0:0"];
    let error = usage_failure_of(&output(&mut shop(here.path(), &public)));
    assert!(error.contains("--yes-public"), "{error}");
    assert!(
        !here.path().join("shop-data").exists(),
        "nothing was created"
    );
    let wrong = ["serve", "--yes-public", "--listen", "127.0.0.1:0"];
    assert_eq!(
        output(&mut shop(here.path(), &wrong)).status.code(),
        Some(2)
    );
}

#[test]
fn a_demo_does_not_change_a_real_shop() {
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    stdout_of(&output(
        shop(here.path(), &["admin", "category", "add"]).arg("Books"),
    ));
    let demo = ["serve", "--demo", "--listen", "127.0.0.1:0"];
    let error = failure_of(&output(&mut shop(here.path(), &demo)));
    assert!(
        error.contains("shop-data") && error.contains("--data-dir"),
        "{error}"
    );
    let listed = output(shop(here.path(), &LIST).arg("--json"));
    let listed: Value = serde_json::from_str(&stdout_of(&listed)).unwrap();
    assert_eq!(strings(&listed, "name"), ["Books"], "nothing was added");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_can_be_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::start_demo(directory.path());
    let catalog = Remote::new(&first).get("/products?limit=100").await.json();
    assert!(catalog["total"].as_i64().unwrap() > 0);
    first.kill();
    let again = Process::start_demo(directory.path());
    let client = Remote::new(&again);
    let shown = client.get("/products?limit=100").await.json();
    assert_eq!(
        strings(&shown["data"], "id"),
        strings(&catalog["data"], "id")
    );
    let made = client.registered("ada").await;
    assert_eq!(made.get("/me").await.status, 200);
}

#[tokio::test]
async fn a_new_shop_says_where_its_data_is_and_how_to_create_the_first_admin() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Process::start(directory.path());
    let mut lines = server.stdout_lines();
    let mut next = || lines.next().unwrap();
    let (data, no_admin, link) = (next(), next(), next());
    let data_dir = directory.path().to_str().unwrap();
    assert!(
        data.starts_with("data in ") && data.contains(data_dir),
        "{data}"
    );
    assert!(no_admin.starts_with("There is no admin yet."), "{no_admin}");
    let (page, token) = link.trim().split_once("#token=").unwrap();
    assert_eq!(page, format!("{}/first-admin", server.url));
    let opened = reqwest::get(page).await.unwrap();
    assert_eq!(opened.status(), 200);
    let body = json!({
        "token": token, "email": "boss@example.com", "name": "Boss", "password": PASSWORD
    });
    let request = reqwest::Client::new().post(page);
    let request = request.header("content-type", "application/json");
    let created = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(created.status(), 201);
    let boss = Remote::new(&server).signed_in("boss").await;
    assert_eq!(boss.get("/admin/users").await.status, 200);
    server.terminate();
    assert!(server.wait().success());

    let mut again = Process::start(directory.path());
    let lines = again.stdout_lines();
    again.terminate();
    assert!(again.wait().success());
    assert_eq!(lines.collect::<Vec<_>>(), [data]);
}

#[test]
fn an_address_in_use_is_named() {
    let here = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = failure_of(&output(&mut shop(
        here.path(),
        &["serve", "--listen", &address],
    )));
    assert!(
        error.contains(&address) && error.contains("--listen"),
        "{error}"
    );
}

#[tokio::test]
async fn addresses_may_be_ipv6() {
    let here = tempfile::tempdir().unwrap();
    let mut command = shop(here.path(), &["serve", "--listen", "[::1]:0"]);
    command
        .env("SHOP_PUBLIC_URL", "http://[::1]:8080")
        .env("SHOP_CORS_ORIGINS", "http://[::1]:3000")
        .env("SHOP_TRUSTED_PROXIES", "::1")
        .env("SHOP_RAZORPAY_API_URL", "http://[::1]:8081")
        .env(
            "CLOUDINARY_URL",
            "cloudinary://key:secret@cloud?upload_prefix=http://[::1]:8082",
        );
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Process::listening(command);
    assert!(server.url.starts_with("http://[::1]:"), "{}", server.url);
    let answer = reqwest::Client::new()
        .get(format!("{}/api/v1/products", server.url))
        .header("origin", "http://[::1]:3000")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let allowed = &answer.headers()["access-control-allow-origin"];
    assert_eq!(allowed, "http://[::1]:3000");
    server.terminate();
    assert!(server.wait().success());
}
