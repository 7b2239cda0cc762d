//! Settings and files: where a value comes from, what is refused, who may read the keys.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

const LIST: [&str; 3] = ["admin", "category", "list"];

/// Creates an empty shop where there is none.
const CREATE: [&str; 6] = ["admin", "seed", "--products", "0", "--customers", "0"];

/// The program with nothing set from outside; its data directory is `shop-data` in `here`.
fn shop(here: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(arguments).current_dir(here);
    command
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// A file of settings beside the data directory, which nothing reads unless it is named.
fn file(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("shop.toml");
    fs::write(&path, text).unwrap();
    path
}

/// The program with a file of settings in its data directory.
fn shop_with(here: &Path, settings: &str, arguments: &[&str]) -> Command {
    let data_dir = here.join("shop-data");
    fs::create_dir_all(&data_dir).unwrap();
    file(&data_dir, settings);
    shop(here, arguments)
}

/// What a server has logged until it stops.
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
    let why = why_refused(&output(&mut shop_with(here.path(), settings, &LIST)));
    assert!(
        why.contains("shop-data/shop.toml") && why.contains("`colour`"),
        "{why}"
    );
    assert!(!here.path().join("shop-data/shop.db").exists());
    let elsewhere = tempfile::tempdir().unwrap();
    let path = file(elsewhere.path(), settings);
    let mut command = shop(elsewhere.path(), &LIST);
    let why = why_refused(&output(command.arg("--config").arg(&path)));
    assert!(why.contains("`colour`"), "{why}");
    let mut command = shop(elsewhere.path(), &LIST);
    let why = why_refused(&output(command.env("SHOP_CONFIG", &path)));
    assert!(why.contains("`colour`"), "{why}");
    assert!(
        !elsewhere.path().join("shop-data").exists(),
        "nothing was made"
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
        let why = why_refused(&output(command.env(name, "x")));
        assert!(why.contains(&format!("`{name}`")), "{why}");
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
        ("mail_files_kept = \"never\"", "mail_files_kept"),
        ("sockets_per_address = -1", "sockets_per_address"),
        ("log_format = \"xml\"", "log_format"),
        ("listen = [1.5]", "listen"),
        ("listen = { port = 80 }", "listen"),
        ("listen", "TOML"),
    ] {
        let path = file(here.path(), text);
        let why = why_refused(&output(shop(here.path(), &LIST).env("SHOP_CONFIG", path)));
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
    said(&output(&mut shop(here.path(), &CREATE)));
    assert!(made("shop-data"), "the default");
    file(here.path(), "data_dir = \"of-the-file\"");
    let config = ["--config", "shop.toml"];
    said(&output(shop(here.path(), &CREATE).args(config)));
    assert!(made("of-the-file"));
    said(&output(
        shop(here.path(), &CREATE)
            .args(config)
            .env("SHOP_DATA_DIR", "of-the-environment"),
    ));
    assert!(made("of-the-environment"));
    let flag = ["--data-dir", "of-the-flag"];
    said(&output(
        shop(here.path(), &CREATE)
            .env("SHOP_DATA_DIR", "unused")
            .args(flag),
    ));
    assert!(made("of-the-flag") && !made("unused"));
}

#[test]
fn a_file_in_the_current_directory_is_not_read() {
    let here = tempfile::tempdir().unwrap();
    create_shop(&here.path().join("shop-data"));
    file(here.path(), "currency = \"EUR\"\ncolour = \"red\"\n");
    said(&output(&mut shop(here.path(), &LIST)));
    let shown = output(&mut shop(here.path(), &["config", "--json"]));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["file"], Value::Null);
    let shown = String::from_utf8(output(&mut shop(here.path(), &["config"])).stdout).unwrap();
    assert!(shown.starts_with("settings file: none\n"), "{shown}");

    let mut command = shop_with(
        here.path(),
        "mail_from = \"Own <own@shop.example>\"",
        &["config", "--json"],
    );
    let shown: Value = serde_json::from_slice(&output(&mut command).stdout).unwrap();
    assert_eq!(shown["file"], "shop-data/shop.toml");
    // A named file takes the place of the data directory's.
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
fn a_data_directory_does_not_name_another() {
    let here = tempfile::tempdir().unwrap();
    let why = why_refused(&output(&mut shop_with(
        here.path(),
        "data_dir = \"other\"",
        &LIST,
    )));
    assert!(
        why.contains("`data_dir`") && why.contains("--data-dir"),
        "{why}"
    );
    assert!(!here.path().join("other").exists());
}

#[test]
fn a_server_logs_which_settings_it_read() {
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
        let why = why_refused(&output(command.env("SHOP_RAZORPAY_WEBHOOK_SECRET", secret)));
        for word in ["razorpay_webhook_secret", "16 bytes", "docs/upgrading.md"] {
            assert!(why.contains(word), "{why}");
        }
        assert!(
            !why.contains("xxx") && !why.contains("yyy"),
            "no secret is printed: {why}"
        );
    }
    assert!(!here.path().join("shop-data").exists(), "nothing was made");
    create_shop(&here.path().join("shop-data"));
    said(&output(
        shop(here.path(), &LIST).env("SHOP_RAZORPAY_WEBHOOK_SECRET", long),
    ));
    // One that an operator wrote in place of the shop's own.
    said(&output(&mut shop(here.path(), &LIST)));
    let kept = here.path().join("shop-data/keys/razorpay_webhook_secret");
    fs::write(&kept, short).unwrap();
    let why = why_refused(&output(&mut shop(here.path(), &LIST)));
    assert!(
        why.contains("razorpay_webhook_secret") && why.contains("16 bytes"),
        "{why}"
    );
}

#[test]
fn a_demo_stays_on_one_machine() {
    let here = tempfile::tempdir().unwrap();
    let public = ["serve", "--demo", "--listen", "0.0.0.0:0"];
    let why = why_refused(&output(&mut shop(here.path(), &public)));
    assert!(why.contains("--yes-public"), "{why}");
    assert!(!here.path().join("shop-data").exists(), "nothing was made");
    let wrong = ["serve", "--yes-public", "--listen", "127.0.0.1:0"];
    assert_eq!(
        output(&mut shop(here.path(), &wrong)).status.code(),
        Some(2)
    );
}

#[test]
fn what_is_open_to_a_network_is_warned_about() {
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
async fn addresses_may_be_of_ipv6() {
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
fn links_that_lead_nowhere_are_warned_about() {
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
    let useless = "leads nowhere";
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let log = log_of(listen, &mail);
        for word in ["WARN", "links in mails", useless, "SHOP_PUBLIC_URL"] {
            assert!(log.contains(word), "{listen}: {word}: {log}");
        }
        assert!(
            log_of(listen, &[]).contains(useless),
            "images have URLs, too"
        );
        let set = with(&[("SHOP_PUBLIC_URL", "https://shop.example")]);
        assert!(!log_of(listen, &set).contains("WARN"));
    }
    let named = with(&[("SHOP_PUBLIC_URL", "http://0.0.0.0:8080")]);
    assert!(log_of("127.0.0.1:0", &named).contains(useless));
    assert!(
        !log_of("127.0.0.1:0", &mail).contains("WARN"),
        "it may be tried on one machine"
    );
    // RawDb a proxy on the same machine.
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
    create_shop(&here.path().join("shop-data"));
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
    create_shop(&here.path().join("shop-data"));
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
    create_shop(&here.path().join("shop-data"));
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
    create_shop(&here.path().join("shop-data"));
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
fn a_data_directory_that_no_shell_has_expanded_is_refused() {
    let here = tempfile::tempdir().unwrap();
    // A file of the current directory, which must not be read by mistake.
    file(here.path(), "colour = \"red\"");
    for place in ["", "~", "~/shop"] {
        for arguments in [
            &LIST[..],
            &["serve", "--listen", "127.0.0.1:0"],
            &["config"],
        ] {
            let mut command = shop(here.path(), arguments);
            let why = why_refused(&output(command.args(["--data-dir", place])));
            assert!(why.contains("`data_dir`"), "{place}: {why}");
            let mut command = shop(here.path(), arguments);
            let why = why_refused(&output(command.env("SHOP_DATA_DIR", place)));
            assert!(why.contains("`data_dir`"), "{place}: {why}");
        }
    }
    let left: Vec<_> = fs::read_dir(here.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing was made");
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
fn a_file_that_is_no_database_is_refused_and_left_alone() {
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
    assert!(!here.path().join("elsewhere").exists(), "nothing was made");

    let mut command = shop(here.path(), &["config", "--config", "shop.toml"]);
    let text = String::from_utf8(output(&mut command).stdout).unwrap();
    assert!(text.starts_with("settings file: shop.toml\n"), "{text}");
    let line = text.lines().find(|line| line.contains("currency")).unwrap();
    assert!(line.contains("EUR") && line.contains("file"), "{text}");
    let mut command = shop(here.path(), &["config"]);
    let text = String::from_utf8(output(command.env("SHOP_RATE_LIMIT", "off")).stdout).unwrap();
    assert!(!text.contains("wrong passwords"), "{text}");
}
