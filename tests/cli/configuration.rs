//! Settings and files: where a value comes from, what is refused, who may read the keys.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

const LIST: [&str; 3] = ["admin", "category", "list"];

/// The program with nothing set from outside, in a directory where it finds no `shop.toml`.
fn shop(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(arguments).current_dir(here);
    command
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

fn file(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("shop.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_unknown_key_is_named() {
    let here = tempfile::tempdir().unwrap();
    let path = file(here.path(), "listen = \"127.0.0.1:0\"\ncolour = \"red\"\n");
    let why = why_refused(&output(&mut shop(here.path(), &LIST)));
    assert!(
        why.contains("shop.toml") && why.contains("`colour`"),
        "{why}"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = shop(elsewhere.path(), &LIST);
    let why = why_refused(&output(command.arg("--config").arg(path)));
    assert!(why.contains("`colour`"), "{why}");
    assert!(!here.path().join("shop-data").exists(), "nothing was made");
}

#[test]
fn an_unknown_variable_is_named() {
    let here = tempfile::tempdir().unwrap();
    for name in [
        "SHOP_TRUSTED_PROXY",
        "SHOP_RAZORPAY_KEY",
        "SHOP_LISTEN_FILE",
    ] {
        let mut command = shop(here.path(), &LIST);
        let why = why_refused(&output(command.env(name, "x")));
        assert!(why.contains(&format!("`{name}`")), "{why}");
    }
    // Kubernetes sets these for a service that is called `shop`.
    let mut command = shop(here.path(), &LIST);
    command
        .env("SHOP_SERVICE_HOST", "10.0.0.1")
        .env("SHOP_PORT", "tcp://10.0.0.1:80");
    assert!(output(&mut command).status.success());
}

#[test]
fn a_value_that_makes_no_sense_is_named() {
    let here = tempfile::tempdir().unwrap();
    for (text, word) in [
        ("listen = \"somewhere\"", "listen"),
        ("currency = \"GOLD\"", "currency"),
        ("access_token_ttl = \"soon\"", "access_token_ttl"),
        ("rate_limit = \"maybe\"", "rate_limit"),
        ("trusted_proxies = [\"all\"]", "trusted_proxies"),
        (
            "cors_origins = [\"https://a.example/path\"]",
            "cors_origins",
        ),
        ("public_url = \"shop.example\"", "public_url"),
        (
            "razorpay_api_url = \"api.razorpay.com\"",
            "razorpay_api_url",
        ),
        (
            "razorpay_api_url = \"ftp://api.razorpay.com\"",
            "razorpay_api_url",
        ),
        (
            "razorpay_api_url = \"https://key@api.razorpay.com\"",
            "razorpay_api_url",
        ),
        ("payment_window = \"0s\"", "payment_window"),
        ("sockets_per_address = -1", "sockets_per_address"),
        ("log_format = \"xml\"", "log_format"),
        ("listen = [1.5]", "listen"),
        ("listen = { port = 80 }", "listen"),
        ("listen", "TOML"),
    ] {
        file(here.path(), text);
        let why = why_refused(&output(&mut shop(here.path(), &LIST)));
        assert!(why.contains(word), "{text}: {why}");
    }
    let missing = ["--config", "nowhere.toml"];
    let why = why_refused(&output(shop(here.path(), &LIST).args(missing)));
    assert!(why.contains("nowhere.toml"), "{why}");
    assert!(!here.path().join("shop-data").exists(), "nothing was made");
}

#[test]
fn a_flag_beats_the_environment_and_that_the_file() {
    let here = tempfile::tempdir().unwrap();
    let made = |name: &str| here.path().join(name).join("shop.db").exists();
    said(&output(&mut shop(here.path(), &LIST)));
    assert!(made("shop-data"), "the default");
    file(here.path(), "data_dir = \"of-the-file\"");
    said(&output(&mut shop(here.path(), &LIST)));
    assert!(made("of-the-file"));
    said(&output(
        shop(here.path(), &LIST).env("SHOP_DATA_DIR", "of-the-environment"),
    ));
    assert!(made("of-the-environment"));
    let flag = ["--data-dir", "of-the-flag"];
    said(&output(
        shop(here.path(), &LIST)
            .env("SHOP_DATA_DIR", "unused")
            .args(flag),
    ));
    assert!(made("of-the-flag") && !made("unused"));
}

#[test]
fn a_short_secret_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let short = "x".repeat(31);
    let (long, key) = ("y".repeat(32), here.path().join("secret"));
    for secret in [short.clone(), format!("{long},{short}")] {
        let why = why_refused(&output(
            shop(here.path(), &LIST).env("SHOP_JWT_SECRET", &secret),
        ));
        assert!(why.contains("jwt_secret") && why.contains("32"), "{why}");
        assert!(
            !why.contains("xxx") && !why.contains("yyy"),
            "no secret is printed: {why}"
        );
        fs::write(&key, format!("{secret}\n")).unwrap();
        why_refused(&output(
            shop(here.path(), &LIST).env("SHOP_JWT_SECRET_FILE", &key),
        ));
    }
    let why = why_refused(&output(
        shop(here.path(), &LIST).env("SHOP_JWT_SECRET_FILE", "nowhere"),
    ));
    assert!(
        why.contains("SHOP_JWT_SECRET_FILE") && why.contains("nowhere"),
        "{why}"
    );
    assert!(!here.path().join("shop-data").exists(), "nothing was made");
    fs::write(&key, format!("{long}\n")).unwrap();
    said(&output(
        shop(here.path(), &LIST).env("SHOP_JWT_SECRET_FILE", &key),
    ));
    let kept = here.path().join("shop-data/keys/jwt_secret");
    assert!(!kept.exists(), "a secret that is given is not kept");
}

#[test]
fn the_currency_is_set_for_ever() {
    let here = tempfile::tempdir().unwrap();
    said(&output(
        shop(here.path(), &LIST).env("SHOP_CURRENCY", "EUR"),
    ));
    for other in ["USD", "INR"] {
        let why = why_refused(&output(
            shop(here.path(), &LIST).env("SHOP_CURRENCY", other),
        ));
        assert!(why.contains("EUR") && why.contains(other), "{why}");
    }
    let why = why_refused(&output(&mut shop(here.path(), &LIST)));
    assert!(
        why.contains("SHOP_CURRENCY=EUR"),
        "it says what to do: {why}"
    );
    said(&output(
        shop(here.path(), &LIST).env("SHOP_CURRENCY", "EUR"),
    ));
}

#[test]
fn keys_are_their_owners_alone() {
    let here = tempfile::tempdir().unwrap();
    said(&output(&mut shop(here.path(), &LIST)));
    let keys = here.path().join("shop-data/keys");
    let rights = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(rights(&keys), 0o700);
    let secrets = |keys: &Path| -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(keys)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                assert_eq!(rights(&path), 0o600, "{}", path.display());
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(&path).unwrap())
            })
            .collect();
        found.sort();
        found
    };
    let made = secrets(&keys);
    let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["jwt_secret", "razorpay_webhook_secret"]);
    assert!(
        made.iter().all(|(_, secret)| secret.trim().len() >= 64),
        "256 bits each"
    );
    assert_ne!(made[0].1, made[1].1);
    said(&output(&mut shop(here.path(), &LIST)));
    assert_eq!(secrets(&keys), made, "made once");
}

#[test]
fn a_demo_keeps_its_hands_off_a_real_shop() {
    let here = tempfile::tempdir().unwrap();
    said(&output(
        shop(here.path(), &["admin", "category", "add"]).arg("Books"),
    ));
    let demo = ["serve", "--demo", "--listen", "127.0.0.1:0"];
    let why = why_failed(&output(&mut shop(here.path(), &demo)));
    assert!(
        why.contains("shop-data") && why.contains("--data-dir"),
        "{why}"
    );
    let listed = output(shop(here.path(), &LIST).arg("--json"));
    let listed: Value = serde_json::from_str(&said(&listed)).unwrap();
    assert_eq!(texts_of(&listed, "name"), ["Books"], "nothing was added");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_opens_what_it_made() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::start_demo(directory.path());
    let catalog = Remote::new(&first).get("/products?limit=100").await.json();
    assert!(catalog["total"].as_i64().unwrap() > 0);
    first.kill();
    let again = Process::start_demo(directory.path());
    let visitor = Remote::new(&again);
    let shown = visitor.get("/products?limit=100").await.json();
    assert_eq!(
        texts_of(&shown["data"], "id"),
        texts_of(&catalog["data"], "id")
    );
    let made = visitor.registered("ada").await;
    assert_eq!(made.get("/me").await.status, 200);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let here = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let why = why_failed(&output(&mut shop(
        here.path(),
        &["serve", "--listen", &address],
    )));
    assert!(why.contains(&address) && why.contains("--listen"), "{why}");
}

#[test]
fn a_data_directory_that_cannot_be_is_named() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("file"), "").unwrap();
    for place in ["file", "file/below"] {
        let why = why_failed(&output(
            shop(here.path(), &LIST).args(["--data-dir", place]),
        ));
        assert!(why.contains(place), "{why}");
    }
}

#[test]
fn r08_a_file_that_is_no_database_is_refused_and_left_alone() {
    let here = tempfile::tempdir().unwrap();
    let database = here.path().join("shop-data/shop.db");
    fs::create_dir(here.path().join("shop-data")).unwrap();
    fs::write(
        &database,
        "Dear diary, this is no database at all.\n".repeat(500),
    )
    .unwrap();
    let before = fs::read(&database).unwrap();
    let why = why_failed(&output(&mut shop(here.path(), &LIST)));
    assert!(why.contains("shop.db"), "{why}");
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn the_settings_are_shown_with_their_origins() {
    let here = tempfile::tempdir().unwrap();
    file(here.path(), "log = \"warn\"\ncurrency = \"EUR\"\n");
    let mut command = shop(
        here.path(),
        &["config", "--json", "--data-dir", "elsewhere"],
    );
    let shown = output(command.env("SHOP_LOG", "debug"));
    assert!(shown.status.success(), "{shown:?}");
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let setting = |name: &str| {
        let all = shown["settings"].as_array().unwrap();
        let found = all.iter().find(|it| it["name"] == name).unwrap();
        (found["value"].clone(), found["origin"].clone())
    };
    for (name, value, origin) in [
        ("data_dir", json!("elsewhere"), "flag"),
        ("log", json!("debug"), "environment"),
        ("currency", json!("EUR"), "file"),
        ("listen", json!("127.0.0.1:8080"), "default"),
        ("smtp_url", Value::Null, "default"),
    ] {
        assert_eq!(setting(name), (value, json!(origin)), "{name}");
    }
    let limits = shown["limits"].as_array().unwrap();
    let of = |what: &str| limits.iter().find(|it| it["what"] == what).unwrap();
    assert_eq!(
        (
            of("signing in")["most"].as_i64(),
            of("signing in")["seconds"].as_i64()
        ),
        (Some(30), Some(60))
    );
    assert_eq!(
        of("wrong passwords")["countedFor"],
        "email address and client network"
    );
    assert!(!here.path().join("elsewhere").exists(), "nothing was made");

    let mut command = shop(here.path(), &["config"]);
    let text = String::from_utf8(output(&mut command).stdout).unwrap();
    let line = text.lines().find(|line| line.contains("currency")).unwrap();
    assert!(line.contains("EUR") && line.contains("file"), "{text}");
    let mut command = shop(here.path(), &["config"]);
    let text = String::from_utf8(output(command.env("SHOP_RATE_LIMIT", "off")).stdout).unwrap();
    assert!(!text.contains("wrong passwords"), "{text}");
}
