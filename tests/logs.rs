//! Even at its most verbose level, the log contains no secrets, and clients cannot inject lines.

mod operator_secrets;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Process, Remote, SmtpServer, storage_test};

/// Secrets of the operator, each a unique text.
const JWT: &str = "canary-jwt-3f9a1c77e0b24d58a6c2f1e09b7d4a35";
const WEBHOOK: &str = "canary-webhook-51d0c3b7";
const SMTP: &str = "canary-smtp-8f2e6a90";
/// Secrets of a customer.
const PASSWORD: &str = "canary-password-c41b7e";
const WRONG: &str = "canary-wrong-password-77d2";
const NEW: &str = "canary-new-password-e05f";

/// Collects the log of a server on a separate thread.
fn listen(process: &mut Process) -> std::thread::JoinHandle<Vec<String>> {
    let lines = process.stderr_lines();
    std::thread::spawn(move || lines.collect())
}

async fn post(remote: &Remote, path: &str, body: Value) -> crate::support::TestResponse {
    remote.post(path, &body).await
}

storage_test! {
    async fn no_secret_is_logged(site: Site) {
        let Some(server) = SmtpServer::start(&["--user", "shop", "--password", SMTP]) else { return };
        let url = format!("smtp://shop:{SMTP}@127.0.0.1:{}", server.port());
        let variables = [
            ("SHOP_LOG", "trace"), ("SHOP_SMTP_URL", url.as_str()),
            ("SHOP_MAIL_FROM", "shop@shop.example"), ("SHOP_JWT_SECRET", JWT),
            ("SHOP_RAZORPAY_WEBHOOK_SECRET", WEBHOOK),
        ];
        let mut process = site.start_with(&variables);
        let log = listen(&mut process);
        let anonymous = Remote::new(&process);
        let link = process.stdout_lines().find(|line| line.contains("#token=")).unwrap();
        let (page, token) = link.trim().split_once("#token=").unwrap();
        let mut secrets: BTreeMap<&str, String> = [
            ("the key of tokens", JWT), ("the webhook's secret", WEBHOOK), ("the mail server's password", SMTP),
            ("a password", PASSWORD), ("a wrong password", WRONG), ("a new password", NEW),
        ].map(|(what, secret)| (what, secret.to_owned())).into();

        let boss = json!({ "token": token, "email": "boss@example.com", "password": PASSWORD, "name": "Boss" });
        for status in [201, 400] {
            let request = reqwest::Client::new().post(page).header("content-type", "application/json");
            assert_eq!(request.body(boss.to_string()).send().await.unwrap().status(), status);
        }
        secrets.insert("the link that creates the first admin", token.to_owned());

        let account = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
        assert_eq!(post(&anonymous, "/auth/register", account.clone()).await.status, 201);
        assert_eq!(post(&anonymous, "/auth/register", account).await.status, 409);
        let wrong = json!({ "email": "ada@example.com", "password": WRONG });
        assert_eq!(post(&anonymous, "/auth/login", wrong).await.status, 401);
        let right = json!({ "email": "ada@example.com", "password": PASSWORD });
        let signed_in = post(&anonymous, "/auth/login", right).await;
        secrets.insert("an access token", signed_in.text("/accessToken"));
        secrets.insert("a refresh token", signed_in.text("/refreshToken"));
        let ada = anonymous.with_token(signed_in.text("/accessToken"));
        assert_eq!(ada.get("/me").await.status, 200);
        let refreshed = post(&anonymous, "/auth/refresh", json!({ "refreshToken": signed_in.text("/refreshToken") })).await;
        secrets.insert("a second refresh token", refreshed.text("/refreshToken"));

        let link = server.wait_for(1)[0].link().unwrap();
        let token = link.split_once("#token=").unwrap().1.to_owned();
        assert_eq!(post(&anonymous, "/auth/verify-email", json!({ "token": token })).await.status, 200);
        assert_eq!(post(&anonymous, "/auth/verify-email", json!({ "token": token })).await.status, 400);
        secrets.insert("a link to prove an address", token);
        post(&anonymous, "/auth/forgot-password", json!({ "email": "ada@example.com" })).await;
        let link = server.wait_for(2)[1].link().unwrap();
        let token = link.split_once("#token=").unwrap().1.to_owned();
        let change = json!({ "currentPassword": WRONG, "newPassword": NEW }).to_string();
        let json_body = [("content-type", "application/json")];
        let refused = ada.call(Method::PUT, "/me/password", &json_body, change).await.unwrap();
        assert_eq!(refused.status, 422);
        assert_eq!(post(&anonymous, "/auth/reset-password", json!({ "token": token, "password": NEW })).await.status, 204);
        secrets.insert("a link to set a password", token);
        // Malformed bodies are not quoted either.
        for body in [format!("{{\"password\":\"{PASSWORD}\""), format!("[\"{NEW}\"]"), format!("{{\"email\":\"{WRONG}\"}}")] {
            let answer = anonymous.call(Method::POST, "/auth/login", &json_body, body).await.unwrap();
            assert!(answer.status == 400 || answer.status == 422);
        }
        let signature = [("x-razorpay-signature", WRONG)];
        anonymous.call(Method::POST, "/payments/razorpay/webhook", &signature, "{}").await.unwrap();

        process.terminate();
        assert!(process.wait().success());
        let log = log.join().unwrap();
        assert!(log.len() > 12, "the log is almost empty: {log:?}");
        for line in &log {
            for (what, secret) in &secrets {
                assert!(!line.contains(secret.as_str()), "{what} is logged: {line}");
            }
            assert!(!line.contains("$argon2id"), "the hash of a password is logged: {line}");
        }
    }

    async fn phone_codes_are_written_only_to_the_console(site: Site) {
        let mut process = site.start_with(&[("SHOP_LOG", "trace")]);
        let log = listen(&mut process);
        let ada = Remote::new(&process).registered("ada").await;
        assert_eq!(post(&ada, "/me/phone", json!({ "phone": "+919812345678" })).await.status, 202);
        process.terminate();
        process.wait();
        let log = log.join().unwrap();
        let (printed, logged): (Vec<_>, Vec<_>) = log.iter().partition(|line| line.starts_with("[sms] "));
        assert_eq!(printed.len(), 1);
        let code = printed[0].rsplit_once(' ').unwrap().1;
        // Longer numbers, e.g. ids and times, may contain the same six digits.
        let is_code = |line: &&String| line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == code);
        assert!(!logged.iter().any(is_code), "{code} is logged");
    }

    async fn clients_cannot_inject_log_lines(site: Site) {
        for format in ["text", "json"] {
            let mut process = site.start_with(&[("SHOP_LOG", "trace"), ("SHOP_LOG_FORMAT", format)]);
            let log = listen(&mut process);
            let anonymous = Remote::new(&process);
            let forged = "2026-01-31T12:00:00Z  INFO shop: forged";
            let path = format!("/products/%0d%0a{}%1b%5b31m", forged.replace(' ', "%20"));
            anonymous.get(&path).await;
            anonymous.get(&format!("/products?q=%0A{}", forged.replace(' ', "%20"))).await;
            let name = format!("Ada\r\n{forged}\u{1b}[31m");
            let email = format!("ada\n{forged}@example.com");
            for body in [json!({ "email": "a@example.com", "password": PASSWORD, "name": name }), json!({ "email": email, "password": PASSWORD, "name": "Ada" })] {
                assert_eq!(post(&anonymous, "/auth/register", body).await.status, 422);
            }
            // Headers, in which a client of its own may send any bytes.
            for separator in ["\r", "\u{b}", "\u{85}", "\u{2028}", "\n", "\r\n "] {
                let mut stream = TcpStream::connect(process.url.strip_prefix("http://").unwrap()).await.unwrap();
                let value = format!("x{separator}{forged}");
                let request = format!(
                    "GET /api/v1/products HTTP/1.1\r\nhost: shop.test\r\nuser-agent: {value}\r\n\
                     authorization: Bearer {value}\r\nidempotency-key: {value}\r\nif-match: {value}\r\n\
                     x-request-id: {value}\r\nx-forwarded-for: {value}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                drop(stream.read_to_end(&mut Vec::new()).await);
            }
            process.terminate();
            process.wait();
            for line in log.join().unwrap() {
                assert!(!line.starts_with(forged) && !line.contains('\u{1b}') && !line.contains('\r'), "{line}");
                if format == "json" {
                    serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                }
            }
        }
    }
}

#[test]
fn shown_configuration_redacts_secrets() {
    let here = tempfile::tempdir().unwrap();
    for json in [&[][..], &["--json"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_shop"))
            .arg("config")
            .args(json)
            .current_dir(here.path())
            .envs([
                ("SHOP_JWT_SECRET", JWT),
                ("SHOP_RAZORPAY_WEBHOOK_SECRET", WEBHOOK),
            ])
            .env("SHOP_SMTP_URL", format!("smtp://shop:{SMTP}@localhost"))
            .env("SHOP_MAIL_FROM", "shop@shop.example")
            .env(
                "SHOP_DATABASE_URL",
                format!("postgres://shop:{PASSWORD}@localhost/shop"),
            )
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = format!(
            "{}{}",
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap()
        );
        for secret in [JWT, WEBHOOK, SMTP, PASSWORD] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(text.matches("[redacted]").count(), 4, "{text}");
    }
}
