//! Settings: sources and precedence, validation, permissions of files, startup warnings.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

const LIST: [&str; 3] = ["admin", "category", "list"];

/// The command that creates an empty shop.
const CREATE: [&str; 6] = ["admin", "seed", "--products", "0", "--customers", "0"];

/// Returns the program without settings. Its data directory is `shop-data` in `here`.
fn shop(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(arguments).current_dir(here);
    command
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Writes a configuration file, which is read only if it is named or in the data directory.
fn file(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("shop.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Returns the program with a configuration file in its data directory.
fn shop_with(here: &Path, settings: &str, arguments: &[&str]) -> Command {
    let data_dir = here.join("shop-data");
    fs::create_dir_all(&data_dir).unwrap();
    file(&data_dir, settings);
    shop(here, arguments)
}

/// Stops a server and returns its log.
fn log_of(mut process: Process) -> String {
    let log = process.says();
    process.terminate();
    process.wait();
    log.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_unknown_key_is_named() {
    let here = tempfile::tempdir().unwrap();
    let settings = "listen = \"127.0.0.1:0\"\ncolour = \"red\"\n";
    let error = usage_failure_of(&output(&mut shop_with(here.path(), settings, &LIST)));
    assert!(
        error.contains("shop-data/shop.toml") && error.contains("`colour`"),
        "{error}"
    );
    assert!(!here.path().join("shop-data/shop.db").exists());
    let elsewhere = tempfile::tempdir().unwrap();
    let path = file(elsewhere.path(), settings);
    let mut command = shop(elsewhere.path(), &LIST);
    let error = usage_failure_of(&output(command.arg("--config").arg(&path)));
    assert!(error.contains("`colour`"), "{error}");
    let mut command = shop(elsewhere.path(), &LIST);
    let error = usage_failure_of(&output(command.env("SHOP_CONFIG", &path)));
    assert!(error.contains("`colour`"), "{error}");
    assert!(
        !elsewhere.path().join("shop-data").exists(),
        "nothing was created"
    );
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
        let error = usage_failure_of(&output(command.env(name, "x")));
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    create_shop(&here.path().join("shop-data"));
    // Kubernetes sets these for a service that is called `shop`.
    let mut command = shop(here.path(), &LIST);
    command
        .env("SHOP_SERVICE_HOST", "10.0.0.1")
        .env("SHOP_PORT", "tcp://10.0.0.1:80");
    assert!(output(&mut command).status.success());
}

#[test]
fn an_invalid_value_is_named() {
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
        ("mail_files_kept = \"never\"", "mail_files_kept"),
        ("sockets_per_address = -1", "sockets_per_address"),
        ("log_format = \"xml\"", "log_format"),
        ("listen = [1.5]", "listen"),
        ("listen = { port = 80 }", "listen"),
        ("listen", "TOML"),
    ] {
        let path = file(here.path(), text);
        let error = usage_failure_of(&output(shop(here.path(), &LIST).env("SHOP_CONFIG", path)));
        assert!(error.contains(word), "{text}: {error}");
    }
    let missing = ["--config", "nowhere.toml"];
    let error = usage_failure_of(&output(shop(here.path(), &LIST).args(missing)));
    assert!(error.contains("nowhere.toml"), "{error}");
    assert!(
        !here.path().join("shop-data").exists(),
        "nothing was created"
    );
}

#[test]
fn flags_take_precedence_over_the_environment_and_the_file() {
    let here = tempfile::tempdir().unwrap();
    let made = |name: &str| here.path().join(name).join("shop.db").exists();
    stdout_of(&output(&mut shop(here.path(), &CREATE)));
    assert!(made("shop-data"), "the default");
    file(here.path(), "data_dir = \"from-file\"");
    let config = ["--config", "shop.toml"];
    stdout_of(&output(shop(here.path(), &CREATE).args(config)));
    assert!(made("from-file"));
    stdout_of(&output(
        shop(here.path(), &CREATE)
            .args(config)
            .env("SHOP_DATA_DIR", "from-environment"),
    ));
    assert!(made("from-environment"));
    let flag = ["--data-dir", "from-flag"];
    stdout_of(&output(
        shop(here.path(), &CREATE)
            .env("SHOP_DATA_DIR", "unused")
            .args(flag),
    ));
    assert!(made("from-flag") && !made("unused"));
}

#[test]
fn a_file_in_the_current_directory_is_not_read() {
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    file(here.path(), "currency = \"EUR\"\ncolour = \"red\"\n");
    stdout_of(&output(&mut shop(here.path(), &LIST)));
    let shown = output(&mut shop(here.path(), &["config", "--json"]));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["file"], Value::Null);
    let shown = String::from_utf8(output(&mut shop(here.path(), &["config"])).stdout).unwrap();
    assert!(shown.starts_with("configuration file: none\n"), "{shown}");

    let mut command = shop_with(
        here.path(),
        "mail_from = \"Own <own@shop.example>\"",
        &["config", "--json"],
    );
    let shown: Value = serde_json::from_slice(&output(&mut command).stdout).unwrap();
    assert_eq!(shown["file"], "shop-data/shop.toml");
    // A named file replaces the one in the data directory.
    file(here.path(), "log = \"warn\"");
    let shown = output(shop(here.path(), &["config", "--json"]).env("SHOP_CONFIG", "shop.toml"));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let set = shown["settings"].as_array().unwrap().iter();
    let set: Vec<_> = set
        .filter(|it| it["origin"] == "file")
        .map(|it| &it["name"])
        .collect();
    assert_eq!(
        (&shown["file"], set),
        (&json!("shop.toml"), vec![&json!("log")])
    );
}

#[test]
fn a_data_directory_cannot_redirect_to_another() {
    let here = tempfile::tempdir().unwrap();
    let error = usage_failure_of(&output(&mut shop_with(
        here.path(),
        "data_dir = \"other\"",
        &LIST,
    )));
    assert!(
        error.contains("`data_dir`") && error.contains("--data-dir"),
        "{error}"
    );
    assert!(!here.path().join("other").exists());
}

#[test]
fn a_server_logs_its_configuration_file() {
    let here = tempfile::tempdir().unwrap();
    file(here.path(), "log = \"warn\"");
    let data_dir = here.path().join("shop-data");
    let log_of = |settings: &[&str]| {
        let mut command = shop(here.path(), settings);
        command.env("SHOP_LOG", "info");
        log_of(Process::start_with(command, &data_dir))
    };
    let log = log_of(&[]);
    assert!(
        log.contains("`shop.toml` in the current directory is not read"),
        "{log}"
    );
    let log = log_of(&["--config", "shop.toml"]);
    assert!(log.contains("read settings file=shop.toml"), "{log}");
    assert!(!log.contains("is not read"), "{log}");
}

#[test]
fn a_short_webhook_secret_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let (short, long) = ("x".repeat(15), "y".repeat(16));
    for secret in [short.clone(), format!("{long},{short}")] {
        let mut command = shop(here.path(), &LIST);
        let error = usage_failure_of(&output(command.env("SHOP_RAZORPAY_WEBHOOK_SECRET", secret)));
        for word in ["razorpay_webhook_secret", "16 bytes", "docs/upgrading.md"] {
            assert!(error.contains(word), "{error}");
        }
        assert!(
            !error.contains("xxx") && !error.contains("yyy"),
            "no secret is printed: {error}"
        );
    }
    assert!(
        !here.path().join("shop-data").exists(),
        "nothing was created"
    );
    create_shop(&here.path().join("shop-data"));
    stdout_of(&output(
        shop(here.path(), &LIST).env("SHOP_RAZORPAY_WEBHOOK_SECRET", long),
    ));
    // A short secret that an operator has written into the data directory.
    stdout_of(&output(&mut shop(here.path(), &LIST)));
    let kept = here.path().join("shop-data/keys/razorpay_webhook_secret");
    fs::write(&kept, short).unwrap();
    let error = usage_failure_of(&output(&mut shop(here.path(), &LIST)));
    assert!(
        error.contains("razorpay_webhook_secret") && error.contains("16 bytes"),
        "{error}"
    );
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
fn a_public_address_without_rate_limits_is_warned_about() {
    let log_of = |more: &[&str], limits: &str| {
        let here = tempfile::tempdir().unwrap();
        let mut command = shop(here.path(), &["serve"]);
        command.args(more);
        command
            .env("SHOP_RATE_LIMIT", limits)
            .env("SHOP_LOG", "warn");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        log_of(Process::listening(command))
    };
    let (public, private) = (["--listen", "0.0.0.0:0"], ["--listen", "127.0.0.1:0"]);
    assert!(log_of(&public, "off").contains("WARNING: rate limits are off"));
    assert!(!log_of(&public, "on").contains("WARNING"));
    assert!(!log_of(&private, "off").contains("WARNING"));
    let demo = ["--demo", "--yes-public"];
    assert!(log_of(&[&public[..], &demo].concat(), "on").contains("WARNING: a demo"));
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

#[test]
fn unreachable_links_are_warned_about() {
    let log_of = |listen: &str, variables: &[(&str, &str)]| {
        let here = tempfile::tempdir().unwrap();
        let mut command = shop(here.path(), &["serve", "--listen", listen]);
        command
            .env("SHOP_LOG", "warn")
            .envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        log_of(Process::listening(command))
    };
    let mail = [
        ("SHOP_SMTP_URL", "smtp://mail.example"),
        ("SHOP_MAIL_FROM", "Shop <shop@shop.example>"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&mail[..], more].concat();
    let unreachable = "other machines cannot open";
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let log = log_of(listen, &mail);
        for word in ["WARN", "links in emails", unreachable, "SHOP_PUBLIC_URL"] {
            assert!(log.contains(word), "{listen}: {word}: {log}");
        }
        assert!(
            log_of(listen, &[]).contains(unreachable),
            "image URLs are links, too"
        );
        let set = with(&[("SHOP_PUBLIC_URL", "https://shop.example")]);
        assert!(!log_of(listen, &set).contains("WARN"));
    }
    let named = with(&[("SHOP_PUBLIC_URL", "http://0.0.0.0:8080")]);
    assert!(log_of("127.0.0.1:0", &named).contains(unreachable));
    assert!(
        !log_of("127.0.0.1:0", &mail).contains("WARN"),
        "local use is fine"
    );
    // Behind a proxy on the same machine.
    let public = ("SHOP_PUBLIC_URL", "https://shop.example");
    let log = log_of("127.0.0.1:0", &[public]);
    assert!(log.contains("SHOP_TRUSTED_PROXIES=127.0.0.1"), "{log}");
    let trusted = [public, ("SHOP_TRUSTED_PROXIES", "127.0.0.1")];
    assert!(!log_of("127.0.0.1:0", &trusted).contains("WARN"));
    let local = [("SHOP_PUBLIC_URL", "http://localhost:8080")];
    assert!(!log_of("127.0.0.1:0", &local).contains("WARN"));
}

#[test]
fn a_short_secret_is_refused() {
    let here = tempfile::tempdir().unwrap();
    let short = "x".repeat(31);
    let (long, key) = ("y".repeat(32), here.path().join("secret"));
    for secret in [short.clone(), format!("{long},{short}")] {
        let error = usage_failure_of(&output(
            shop(here.path(), &LIST).env("SHOP_JWT_SECRET", &secret),
        ));
        assert!(
            error.contains("jwt_secret") && error.contains("32"),
            "{error}"
        );
        assert!(
            !error.contains("xxx") && !error.contains("yyy"),
            "no secret is printed: {error}"
        );
        fs::write(&key, format!("{secret}\n")).unwrap();
        usage_failure_of(&output(
            shop(here.path(), &LIST).env("SHOP_JWT_SECRET_FILE", &key),
        ));
    }
    let error = usage_failure_of(&output(
        shop(here.path(), &LIST).env("SHOP_JWT_SECRET_FILE", "nowhere"),
    ));
    assert!(
        error.contains("SHOP_JWT_SECRET_FILE") && error.contains("nowhere"),
        "{error}"
    );
    assert!(
        !here.path().join("shop-data").exists(),
        "nothing was created"
    );
    create_shop(&here.path().join("shop-data"));
    fs::write(&key, format!("{long}\n")).unwrap();
    stdout_of(&output(
        shop(here.path(), &LIST).env("SHOP_JWT_SECRET_FILE", &key),
    ));
    let kept = here.path().join("shop-data/keys/jwt_secret");
    assert!(!kept.exists(), "a configured secret is not stored");
}

#[test]
fn the_currency_cannot_be_changed() {
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    stdout_of(&output(
        shop(here.path(), &LIST).env("SHOP_CURRENCY", "EUR"),
    ));
    for other in ["USD", "INR"] {
        let error = usage_failure_of(&output(
            shop(here.path(), &LIST).env("SHOP_CURRENCY", other),
        ));
        assert!(error.contains("EUR") && error.contains(other), "{error}");
    }
    let error = usage_failure_of(&output(&mut shop(here.path(), &LIST)));
    assert!(
        error.contains("SHOP_CURRENCY=EUR"),
        "the error says what to do: {error}"
    );
    stdout_of(&output(
        shop(here.path(), &LIST).env("SHOP_CURRENCY", "EUR"),
    ));
}

#[test]
fn keys_are_readable_only_by_the_owner() {
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    stdout_of(&output(&mut shop(here.path(), &LIST)));
    let keys = here.path().join("shop-data/keys");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    let secrets = |keys: &Path| -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(keys)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
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
    stdout_of(&output(&mut shop(here.path(), &LIST)));
    assert_eq!(secrets(&keys), made, "not created again");
}

#[test]
fn a_demo_does_not_touch_a_real_shop() {
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

#[test]
fn an_address_in_use_is_named() {
    let here = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
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

#[test]
fn a_data_directory_with_a_tilde_is_refused() {
    let here = tempfile::tempdir().unwrap();
    // A configuration file in the current directory, which must not be read.
    file(here.path(), "colour = \"red\"");
    for place in ["", "~", "~/shop"] {
        for arguments in [
            &LIST[..],
            &["serve", "--listen", "127.0.0.1:0"],
            &["config"],
        ] {
            let mut command = shop(here.path(), arguments);
            let error = usage_failure_of(&output(command.args(["--data-dir", place])));
            assert!(error.contains("`data_dir`"), "{place}: {error}");
            let mut command = shop(here.path(), arguments);
            let error = usage_failure_of(&output(command.env("SHOP_DATA_DIR", place)));
            assert!(error.contains("`data_dir`"), "{place}: {error}");
        }
    }
    let left: Vec<_> = fs::read_dir(here.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing was created");
}

#[test]
fn an_impossible_data_directory_is_named() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("file"), "").unwrap();
    for place in ["file", "file/below"] {
        let error = failure_of(&output(
            shop(here.path(), &LIST).args(["--data-dir", place]),
        ));
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn a_file_that_is_not_a_database_is_refused_and_unchanged() {
    let here = tempfile::tempdir().unwrap();
    let database = here.path().join("shop-data/shop.db");
    fs::create_dir(here.path().join("shop-data")).unwrap();
    fs::write(
        &database,
        "Dear diary, this is no database at all.\n".repeat(500),
    )
    .unwrap();
    let before = fs::read(&database).unwrap();
    let error = failure_of(&output(&mut shop(here.path(), &LIST)));
    assert!(error.contains("shop.db"), "{error}");
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn config_shows_each_setting_with_its_source() {
    let here = tempfile::tempdir().unwrap();
    let path = file(here.path(), "log = \"warn\"\ncurrency = \"EUR\"\n");
    let mut command = shop(
        here.path(),
        &["config", "--json", "--data-dir", "elsewhere"],
    );
    command.env("SHOP_CONFIG", &path);
    let shown = output(command.env("SHOP_LOG", "debug"));
    assert!(shown.status.success(), "{shown:?}");
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["file"], json!(path));
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
    assert!(
        !here.path().join("elsewhere").exists(),
        "nothing was created"
    );

    let mut command = shop(here.path(), &["config", "--config", "shop.toml"]);
    let text = String::from_utf8(output(&mut command).stdout).unwrap();
    assert!(
        text.starts_with("configuration file: shop.toml\n"),
        "{text}"
    );
    let line = text.lines().find(|line| line.contains("currency")).unwrap();
    assert!(line.contains("EUR") && line.contains("file"), "{text}");
    let mut command = shop(here.path(), &["config"]);
    let text = String::from_utf8(output(command.env("SHOP_RATE_LIMIT", "off")).stdout).unwrap();
    assert!(!text.contains("wrong passwords"), "{text}");
}
