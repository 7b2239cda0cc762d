//! Settings: sources, precedence, validation and secrets.

use std::path::PathBuf;

use super::*;

pub(super) const LIST: [&str; 3] = ["admin", "category", "list"];

/// The command that creates an empty shop.
const CREATE: [&str; 6] = ["admin", "seed", "--products", "0", "--customers", "0"];

/// Returns the program without settings. Its data directory is `shop-data` in `here`.
pub(super) fn shop(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(arguments).current_dir(here);
    command
}

pub(super) fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Writes a configuration file, which is read only if it is named or in the data directory.
pub(super) fn config_file(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("shop.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Returns the program with a configuration file in its data directory.
pub(super) fn shop_with(here: &Path, settings: &str, arguments: &[&str]) -> Command {
    let data_dir = here.join("shop-data");
    fs::create_dir_all(&data_dir).unwrap();
    config_file(&data_dir, settings);
    shop(here, arguments)
}

/// Stops a server and returns its log.
pub(super) fn log_of(mut process: Process) -> String {
    let log = process.stderr_lines();
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
    let path = config_file(elsewhere.path(), settings);
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
        let path = config_file(here.path(), text);
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
fn several_errors_are_reported_together_with_their_sources() {
    let here = tempfile::tempdir().unwrap();
    config_file(
        here.path(),
        "currency = \"GOLD\"\ncolour = \"red\"\npayment_window = \"soon\"\nkeep_alive = 1.5\n",
    );
    let arguments = ["serve", "--listen", "here", "--config", "shop.toml"];
    let mut command = shop(here.path(), &arguments);
    command
        .env("SHOP_RATE_LIMIT", "maybe")
        .env(
            "SHOP_CORS_ORIGINS",
            "https://a.example/path,https://b.example,*",
        )
        .env("SHOP_COLOUR", "red")
        .env("SHOP_JWT_SECRET", "do-not-tell")
        .env("SHOP_PUBLIC_URL", "https://do-not-tell@shop.example");
    let error = usage_failure_of(&output(&mut command));
    for part in [
        "10 settings are wrong: (1) ",
        "`--listen`: `listen` must be an IP address and a port",
        "`SHOP_RATE_LIMIT`: `rate_limit` must be `on` or `off`, not `maybe`",
        "`cors_origins` must contain origins without a path or a `/` at the end, e.g. `https://shop.example`, not \
         `https://a.example/path` or `*`",
        "`SHOP_JWT_SECRET`: `jwt_secret` must be at least 32 bytes long",
        "`SHOP_PUBLIC_URL`: `public_url` must be a URL without credentials",
        "unknown environment variable `SHOP_COLOUR`",
        "`shop.toml`: `currency` must be an ISO 4217 code",
        "`shop.toml`: `payment_window` must be a duration",
        "`shop.toml`: `keep_alive` must be a string",
        "`shop.toml`: unknown key `colour`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("do-not-tell"), "{error}");
    assert!(
        !here.path().join("shop-data").exists(),
        "nothing was created"
    );
}

#[test]
fn durations_are_whole_seconds() {
    let here = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        let mut command = shop(here.path(), &["config"]);
        output(command.env("SHOP_PAYMENT_WINDOW", text))
    };
    for text in ["90s", "15m", "2h", "30d", "1h 30m", "3660d"] {
        assert!(run(text).status.success(), "{text}");
    }
    for text in [
        "0s", "500ms", "1s 1ms", "3661d", "5", "m", "-5s", "", "15M", "1.5h", "1y",
    ] {
        let error = usage_failure_of(&run(text));
        assert!(error.contains("must be a duration"), "{text}: {error}");
    }
}

#[test]
fn flags_take_precedence_over_the_environment_and_the_file() {
    let here = tempfile::tempdir().unwrap();
    let made = |name: &str| here.path().join(name).join("shop.db").exists();
    stdout_of(&output(&mut shop(here.path(), &CREATE)));
    assert!(made("shop-data"), "the default");
    config_file(here.path(), "data_dir = \"from-file\"");
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
    config_file(here.path(), "currency = \"EUR\"\ncolour = \"red\"\n");
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
    config_file(here.path(), "log = \"warn\"");
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
fn a_server_logs_its_configuration_file() {
    let here = tempfile::tempdir().unwrap();
    config_file(here.path(), "log = \"warn\"");
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
        let remedy = format!("not {other}; set `SHOP_CURRENCY=EUR`");
        assert!(error.contains(&remedy), "{error}");
    }
    // Without the setting, a shop has the recorded one.
    let price = ["admin", "product", "edit", "any", "--price", "free"];
    let error = usage_failure_of(&output(&mut shop(here.path(), &price)));
    assert!(error.contains("12.99 EUR"), "{error}");
    stdout_of(&output(&mut shop(here.path(), &LIST)));
}

#[test]
fn config_shows_each_setting_with_its_source() {
    let here = tempfile::tempdir().unwrap();
    let path = config_file(here.path(), "log = \"warn\"\ncurrency = \"EUR\"\n");
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
    for off in ["off", "false"] {
        let mut command = shop(here.path(), &["config"]);
        let text = String::from_utf8(output(command.env("SHOP_RATE_LIMIT", off)).stdout).unwrap();
        assert!(!text.contains("wrong passwords"), "{text}");
    }
}
