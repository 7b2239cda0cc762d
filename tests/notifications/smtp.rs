//! Delivery to a real mail server, including its failures.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Certificate, Engine, Process, Remote, Site, SmtpServer, storage_test};

const FROM: &str = "Kettles <shop@shop.example>";
const PASSWORD: &str = "correct horse battery";

/// Starts a shop that sends emails by this server.
fn start(site: &Site, url: &str, more: &[(&str, &str)]) -> Process {
    let variables = [&[("SHOP_SMTP_URL", url), ("SHOP_MAIL_FROM", FROM)], more].concat();
    site.start_with(&variables)
}

async fn register(process: &Process, name: &str) -> Remote {
    Remote::new(process).registered(name).await
}

fn token_in(link: &str) -> String {
    link.split_once("#token=").unwrap().1.to_owned()
}

/// Returns the only file in a directory.
fn only_file(directory: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Returns the link in a raw message, which may be quoted-printable (RFC 2045, section 6.7).
fn link_in(mail: &str) -> String {
    let text = mail.replace("=\r\n", "").replace("=3D", "=");
    let link = text
        .split_whitespace()
        .find(|word| word.contains("#token="));
    link.unwrap().to_owned()
}

/// Waits until the only email in the outbox is in this state, and returns it as operators see it.
fn only_mail(site: &Site, state: &str) -> Value {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let listed = site.run(&["admin", "mail", "list", "--json"]);
        let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        if listed[0]["state"] == state
            && listed[0]["tries"].as_i64() > Some(0)
            && !(state == "waiting" && listed[0]["lastError"].is_null())
        {
            return listed[0].clone();
        }
        assert!(std::time::Instant::now() < deadline, "{listed:?}");
    }
}

storage_test! {
    async fn addresses_are_verified_and_passwords_reset_by_email(site: Site) {
        let certificate = Certificate::of("DNS:localhost");
        let secured = ["--tls", "required", "--user", "shop", "--password", "pa:ss/w@rd"];
        let arguments = [&certificate.arguments()[..], &secured].concat();
        let Some(server) = SmtpServer::start(&arguments) else { return };
        let url = format!("smtp://shop:pa%3Ass%2Fw%40rd@localhost:{}?tls=required", server.port());
        let authority = certificate.authority.to_str().unwrap();
        let process = start(&site, &url, &[("SSL_CERT_FILE", authority), ("SHOP_PUBLIC_URL", "https://shop.example")]);
        let ada = register(&process, "ada").await;

        let mail = server.wait_for(1).remove(0);
        assert_eq!((mail.from.as_str(), mail.to.clone()), ("shop@shop.example", vec!["ada@example.com".to_owned()]));
        assert!(mail.tls);
        assert_eq!(mail.user.as_deref(), Some("shop"));
        assert_eq!(mail.header("from").as_deref(), Some(FROM));
        assert_eq!(mail.headers("to"), ["ada@example.com"]);
        assert_eq!(mail.headers("message-id").len(), 1);
        assert!(mail.header("date").is_some() && mail.header("subject").is_some());
        assert_eq!(mail.header("auto-submitted").as_deref(), Some("auto-generated"));
        let link = mail.link().unwrap();
        assert!(link.starts_with("https://shop.example/verify-email#token="), "{link}");
        assert!(mail.html_part().contains(&token_in(&link)));

        let verified = ada.post("/auth/verify-email", &json!({ "token": token_in(&link) })).await;
        assert_eq!((verified.status, verified.json()["user"]["isEmailVerified"].clone()), (200, json!(true)));
        ada.post("/auth/forgot-password", &json!({ "email": "Ada@EXAMPLE.com" })).await;
        let link = server.wait_for(2).remove(1).link().unwrap();
        let body = json!({ "token": token_in(&link), "password": "a brand new staple" });
        assert_eq!(ada.post("/auth/reset-password", &body).await.status, 204);
        assert_eq!(ada.get("/me").await.status, 401, "the old session has ended");
        let body = json!({ "email": "ada@example.com", "password": "a brand new staple" });
        assert_eq!(Remote::new(&process).post("/auth/login", &body).await.status, 200);
        assert!(server.wait_for(3)[2].link().is_none(), "the notification of the changed password");
    }

    async fn an_untrusted_certificate_is_rejected(site: Site) {
        let certificate = Certificate::of("DNS:localhost");
        let Some(server) = SmtpServer::start(&certificate.arguments()) else { return };
        // Its authority is unknown, and there is no fallback to plain text.
        let url = format!("smtp://localhost:{}?tls=opportunistic", server.port());
        let process = start(&site, &url, &[]);
        register(&process, "ada").await;
        let mail = only_mail(&site, "waiting");
        assert!(mail["lastError"].as_str().unwrap().to_lowercase().contains("cert"), "{mail}");
        assert!(server.messages().is_empty());
    }

    async fn a_server_may_be_an_ipv6_address(site: Site) {
        let certificate = Certificate::of("IP:::1");
        let authority = certificate.authority.to_str().unwrap();
        let account = ["--host", "::1", "--user", "shop", "--password", "right"];
        for (name, scheme, query, tls) in [
            ("ada", "smtp", "?tls=required", "required"),
            ("bob", "smtps", "", "implicit"),
            // Loopback: a password may be sent without encryption.
            ("cleo", "smtp", "", ""),
        ] {
            let encryption = ["--tls", tls];
            let encryption = [&certificate.arguments()[..], &encryption].concat();
            let encryption = if tls.is_empty() { &[][..] } else { &encryption };
            let arguments = [&account[..], encryption].concat();
            let Some(server) = SmtpServer::start(&arguments) else { return };
            let url = format!("{scheme}://shop:right@[::1]:{}{query}", server.port());
            let process = start(&site, &url, &[("SSL_CERT_FILE", authority)]);
            register(&process, name).await;
            let mail = server.wait_for(1).remove(0);
            assert_eq!((mail.tls, mail.user.as_deref()), (!tls.is_empty(), Some("shop")), "{name}");
            process.terminate();
            assert!(process.wait().success());
        }
    }

    async fn a_server_with_implicit_tls_works(site: Site) {
        let certificate = Certificate::of("DNS:localhost");
        let arguments = [&certificate.arguments()[..], &["--tls", "implicit"]].concat();
        let Some(server) = SmtpServer::start(&arguments) else { return };
        let url = format!("smtps://localhost:{}", server.port());
        let process = start(&site, &url, &[("SSL_CERT_FILE", certificate.authority.to_str().unwrap())]);
        register(&process, "ada").await;
        assert!(server.wait_for(1)[0].tls);
    }

    async fn a_wrong_smtp_password_is_a_temporary_error(site: Site) {
        let Some(server) = SmtpServer::start(&["--user", "shop", "--password", "right"]) else { return };
        let url = format!("smtp://shop:wrong@127.0.0.1:{}", server.port());
        let process = start(&site, &url, &[]);
        register(&process, "ada").await;
        let mail = only_mail(&site, "waiting");
        let error = mail["lastError"].as_str().unwrap();
        assert!(error.contains("535") && !error.contains("wrong"), "{error}");
        drop(process);
        // The operator corrects the password, and the email is sent.
        let url = format!("smtp://shop:right@127.0.0.1:{}", server.port());
        let _process = start(&site, &url, &[]);
        assert_eq!(server.wait_for(1)[0].user.as_deref(), Some("shop"));
    }

    async fn a_password_is_not_sent_unencrypted_unless_the_url_allows_it(site: Site) {
        let Some(server) = SmtpServer::start(&["--user", "shop", "--password", "s3cret"]) else { return };
        // This machine, by an address that is not a loopback address.
        let url = format!("smtp://shop:s3cret@0.0.0.0:{}", server.port());
        let process = start(&site, &url, &[]);
        register(&process, "ada").await;
        let mail = only_mail(&site, "waiting");
        let error = mail["lastError"].as_str().unwrap();
        assert!(error.to_lowercase().contains("tls"), "{error}");
        assert!(server.messages().is_empty());
        drop(process);

        let process = start(&site, &format!("{url}?tls=opportunistic"), &[]);
        assert_eq!(server.wait_for(1)[0].user.as_deref(), Some("shop"));
        // Killed before it has recorded the email as sent, the next process would send it again.
        only_mail(&site, "sent");
        drop(process);
        // Without a password, plain text is allowed.
        let Some(open) = SmtpServer::start(&[]) else { return };
        let process = start(&site, &format!("smtp://0.0.0.0:{}", open.port()), &[]);
        register(&process, "bob").await;
        assert_eq!(open.wait_for(1).len(), 1);
    }

    async fn a_rate_limit_of_the_mail_server_is_a_temporary_error(site: Site) {
        let Some(server) = SmtpServer::start(&["--mode", "busy", "--times", "2"]) else { return };
        let process = start(&site, &server.url("?tls=opportunistic"), &[]);
        register(&process, "ada").await;
        assert_eq!(server.wait_for(1).len(), 1);
        let mail = only_mail(&site, "sent");
        assert_eq!(mail["tries"], 3);
    }

    async fn a_deferred_email_is_retried(site: Site) {
        let Some(server) = SmtpServer::start(&["--mode", "defer"]) else { return };
        let process = start(&site, &server.url(""), &[]);
        register(&process, "ada").await;
        assert_eq!(server.wait_for(1).len(), 1);
        assert_eq!(only_mail(&site, "sent")["tries"], 2);
    }

    async fn a_rejected_recipient_makes_the_email_dead(site: Site) {
        let Some(server) = SmtpServer::start(&["--mode", "refuse"]) else { return };
        let process = start(&site, &server.url(""), &[]);
        register(&process, "ada").await;
        let mail = only_mail(&site, "dead");
        assert_eq!((&mail["tries"], &mail["to"]), (&json!(1), &json!("ada@example.com")));
        assert!(mail["lastError"].as_str().unwrap().contains("no such user"), "{mail}");
    }

    async fn an_email_is_retried_under_the_same_id_after_a_lost_connection(site: Site) {
        let Some(server) = SmtpServer::start(&["--mode", "drop"]) else { return };
        let process = start(&site, &server.url(""), &[]);
        register(&process, "ada").await;
        server.wait_for_event(|event| event["dropped"] == true);
        let mail = server.wait_for(1).remove(0);
        let id = only_mail(&site, "sent")["id"].as_str().unwrap().to_owned();
        assert_eq!(mail.header("message-id"), Some(format!("<{id}@shop.example>")));
    }

    async fn a_mail_server_that_hangs_delays_nothing(site: Site) {
        let Some(server) = SmtpServer::start(&["--mode", "hang"]) else { return };
        let process = start(&site, &server.url(""), &[]);
        let ada = register(&process, "ada").await;
        server.wait_for_event(|event| event["connected"] == true);
        assert_eq!(ada.get("/me").await.status, 200);
        register(&process, "bob").await;
        process.terminate();
        assert!(process.wait().success(), "the server still stops");
    }

    async fn no_email_is_lost_by_a_crash_between_commit_and_send(site: Site) {
        let Some(server) = SmtpServer::start(&["--mode", "hang"]) else { return };
        let process = start(&site, &server.url(""), &[]);
        register(&process, "ada").await;
        server.wait_for_event(|event| event["connected"] == true);
        process.kill();
        drop(server);
        let Some(server) = SmtpServer::start(&[]) else { return };
        let listed = site.run(&["admin", "mail", "list", "--json"]);
        let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
        let id = listed[0]["id"].as_str().unwrap();
        if site.engine == Engine::Postgres {
            // On Postgres there may be other instances, so a claimed email is not retried for two minutes.
            assert!(site.run(&["admin", "mail", "retry", id]).status.success());
        }
        let process = start(&site, &server.url(""), &[]);
        let mail = server.wait_for(1).remove(0);
        assert_eq!(mail.header("message-id"), Some(format!("<{id}@shop.example>")));
        assert_eq!(only_mail(&site, "sent")["id"], id);
        process.terminate();
        process.wait();
        assert_eq!(server.messages().len(), 1, "once");
    }

    async fn user_input_cannot_add_recipients_or_headers(site: Site) {
        let Some(server) = SmtpServer::start(&[]) else { return };
        let process = start(&site, &server.url(""), &[]);
        let remote = Remote::new(&process);
        let body = json!({
            "email": "ren\u{e9}@b\u{fc}cher.example", "password": PASSWORD,
            "name": "Ada, \"Bob\" <bob@example.com>; {{7*7}}",
        });
        assert_eq!(remote.post("/auth/register", &body).await.status, 201);
        let mail = server.wait_for(1).remove(0);
        assert_eq!(mail.to, ["ren\u{e9}@xn--bcher-kva.example"]);
        assert!(mail.options.iter().any(|option| option == "SMTPUTF8"), "{mail:?}");
        for header in ["to", "from", "subject", "message-id", "date", "mime-version", "content-type"] {
            assert_eq!(mail.headers(header).len(), 1, "{header}");
        }
        for header in ["bcc", "cc", "reply-to", "sender"] {
            assert_eq!(mail.headers(header).len(), 0, "{header}");
        }
    }

    async fn a_sender_without_a_name_gets_that_of_the_shop(site: Site) {
        for (from, expected) in [
            ("shop@kettles.example", "Kettles and Pots"),
            ("Ada <shop@kettles.example>", "Ada"),
        ] {
            let variables = [("SHOP_LOG", "info"), ("SHOP_NAME", "Kettles and Pots"), ("SHOP_MAIL_FROM", from)];
            let mut process = site.start_with(&variables);
            let mut lines = process.stderr_lines();
            register(&process, expected.split(' ').next().unwrap()).await;
            assert!(lines.any(|line| line.contains("wrote an email to a file")));
            let file = only_file(&site.path().join("mail"));
            let content = fs::read_to_string(&file).unwrap();
            let sender = content.lines().find(|line| line.starts_with("From: ")).unwrap();
            let name = sender["From: ".len()..].split(" <").next().unwrap();
            assert_eq!(name.trim_matches('"'), expected, "{sender}");
            assert!(sender.ends_with(" <shop@kettles.example>"), "{sender}");
            process.terminate();
            assert!(process.wait().success());
            fs::remove_file(file).unwrap();
        }
    }

    async fn without_a_mail_server_emails_are_written_to_files(site: Site) {
        let mut process = site.start_with(&[("SHOP_LOG", "trace")]);
        let mut lines = process.stderr_lines();
        let ada = register(&process, "ada").await;
        let mut log = String::new();
        for line in lines.by_ref() {
            log.push_str(&line);
            if line.contains("wrote an email to a file") {
                break;
            }
        }
        let file = only_file(&site.path().join("mail"));
        assert!(file.extension().is_some_and(|it| it == "eml"));
        assert!(log.contains(file.to_str().unwrap()), "{log}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let content = fs::read_to_string(&file).unwrap();
        assert!(content.contains("To: ada@example.com") && content.contains("text/html"), "{content}");
        let link = link_in(&content);
        assert!(link.starts_with(&format!("{}/verify-email#token=", process.url)), "{link}");
        assert!(!log.contains("#token=") && !log.contains(&token_in(&link)), "{log}");
        let verified = ada.post("/auth/verify-email", &json!({ "token": token_in(&link) })).await;
        assert_eq!(verified.status, 200);

        // Phone codes are printed on the console, at any log level.
        let answer = ada.post("/me/phone", &json!({ "phone": "+919812345678" })).await;
        assert_eq!(answer.status, 202);
        let sms = lines.find(|line| line.starts_with("[sms]")).unwrap();
        let code = sms.strip_prefix("[sms] to +919812345678: your code is ").unwrap();
        let verified = ada.post("/me/phone/verify", &json!({ "code": code })).await;
        assert_eq!((verified.status, verified.json()["isPhoneVerified"].clone()), (200, json!(true)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_logs_the_links_of_its_emails() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_shop"));
    program
        .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory.path())
        .env("SHOP_LOG", "info")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = Process::listening(program);
    let mut lines = process.stderr_lines();
    register(&process, "ada").await;
    let line = lines.find(|line| line.contains("wrote an email to a file"));
    assert!(line.unwrap().contains("/verify-email#token="));
}

#[test]
fn mail_settings_are_checked_at_start() {
    let Some(site) = futures_util::FutureExt::now_or_never(Site::on(Engine::Sqlite)).flatten()
    else {
        panic!("SQLite is always available");
    };
    for (variables, remedies) in [
        (
            vec![("SHOP_SMTP_URL", "smtp://localhost:25")],
            vec!["`mail_from`"],
        ),
        (
            vec![("SHOP_SMTP_URL", "http://localhost")],
            vec!["`smtp_url`", "`mail_from`"],
        ),
        (
            vec![
                ("SHOP_SMTP_URL", "http://localhost"),
                ("SHOP_MAIL_FROM", FROM),
            ],
            vec!["`smtp_url`"],
        ),
        (
            vec![
                ("SHOP_SMTP_URL", "smtp://u:s3cret@localhost?tls=never"),
                ("SHOP_MAIL_FROM", FROM),
            ],
            vec!["`smtp_url`"],
        ),
        (vec![("SHOP_MAIL_FROM", "nobody")], vec!["`mail_from`"]),
    ] {
        let output = site.refuses_to_start(&variables);
        let why = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{why}");
        assert!(remedies.iter().all(|it| why.contains(it)), "{why}");
        assert!(why.lines().count() == 1 && !why.contains("s3cret"), "{why}");
    }
}
