//! The operator's secrets and the credentials of clients, at the most verbose level, over TLS, while every service that
//! the shop uses fails.

use std::{collections::BTreeMap, process::Stdio};

use axum::Router;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use super::listen;
use crate::{
    support::{Form, Remote, Site, images, program_on, proxy::free_address, storage_test},
    tls::CertificateFiles,
};

const JWT: &str = "canary-jwt-9d2c4f60b71e4a5c8f3a6e0d1b2c3d4e";
const WEBHOOK: &str = "canary-webhook-7be19c02";
const RAZORPAY: &str = "canary-razorpay-40aa81d5";
const SMTP: &str = "canary-smtp-c3f77e18";
const S3: &str = "canary-s3-62d09b4f";
const CLOUDINARY: &str = "canary-cloudinary-1e85f3ac";

/// What clients send where it must not be: it is rejected, and not logged either.
const MISPLACED: [&str; 7] = [
    "canary-bearer-5f0a",
    "canary-query-91bd",
    "canary-path-2c7e",
    "canary-cookie-d840",
    "canary-signature-66f1",
    "canary-link-0b93",
    "canary-refresh-a7c5",
];

/// The password of [`Remote::registered`].
const PASSWORD: &str = "correct horse battery";

/// Starts a service that refuses every request. Returns its URL.
async fn refusing_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(|| async {
        let error = json!({ "error": { "code": "BAD_REQUEST_ERROR", "description": "refused" } });
        (StatusCode::UNAUTHORIZED, axum::Json(error))
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Returns the settings of a server whose images are at `store`.
fn settings(site: &Site, service: &str, store: &str, metrics: &str) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("SHOP_LOG", "trace".to_owned()),
        ("SHOP_JWT_SECRET", JWT.to_owned()),
        ("SHOP_RAZORPAY_WEBHOOK_SECRET", WEBHOOK.to_owned()),
        ("SHOP_RAZORPAY_KEY_ID", "rzp_test_1DP5mmOlF5G5ag".to_owned()),
        ("SHOP_RAZORPAY_KEY_SECRET", RAZORPAY.to_owned()),
        ("SHOP_RAZORPAY_API_URL", service.to_owned()),
        (
            "SHOP_SMTP_URL",
            format!("smtp://shop:{SMTP}@{}?tls=opportunistic", free_address()),
        ),
        ("SHOP_MAIL_FROM", "shop@shop.example".to_owned()),
        ("SHOP_METRICS_LISTEN", metrics.to_owned()),
        ("SHOP_BACKUP_URL", "s3://bucket/backups".to_owned()),
        ("AWS_ENDPOINT_URL", service.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", S3.to_owned()),
    ];
    settings.push(if store == "s3" {
        ("SHOP_IMAGES_URL", "s3://bucket/images".to_owned())
    } else {
        let url = format!("cloudinary://874837:{CLOUDINARY}@demo?upload_prefix={service}");
        ("CLOUDINARY_URL", url)
    });
    settings.extend(
        site.database
            .iter()
            .map(|it| ("SHOP_DATABASE_URL", it.url().to_owned())),
    );
    settings
}

/// Signs in. Adds the tokens to the secrets.
async fn sign_in(anonymous: &Remote, name: &str, secrets: &mut Vec<String>) -> Remote {
    let session = json!({ "email": format!("{name}@example.com"), "password": PASSWORD });
    let signed_in = anonymous.post("/auth/login", &session).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    let token = signed_in.text("/accessToken");
    secrets.extend([token.clone(), signed_in.text("/refreshToken")]);
    anonymous.with_token(token)
}

/// Makes requests of many kinds, of which most fail. Returns the bodies of the errors.
async fn tour(site: &Site, anonymous: &Remote, name: &str, secrets: &mut Vec<String>) -> String {
    anonymous.registered(name).await;
    let promoted = site.run(&[
        "admin",
        "user",
        "role",
        &format!("{name}@example.com"),
        "ADMIN",
    ]);
    assert!(promoted.status.success(), "{promoted:?}");
    let boss = sign_in(anonymous, name, secrets).await;
    let made = boss.post("/categories", &json!({ "name": name })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let kettle = site.product("Kettle", 129_900, 5);
    boss.post("/cart", &json!({ "productId": kettle })).await;
    let placed = boss.check_out_once("key-1").await.unwrap();
    assert_eq!(placed.status, 201, "{placed:?}");

    let [bearer, query, path, cookie, signature, link, refresh] = MISPLACED;
    let form = Form::default()
        .text("name", "Pan")
        .text("price", "500")
        .image(&images::png());
    let mut failed = vec![
        boss.call(
            Method::POST,
            "/products",
            &[("content-type", Form::CONTENT_TYPE)],
            form.body(),
        )
        .await
        .unwrap(),
        anonymous.with_token(bearer.to_owned()).get("/me").await,
        anonymous.get(&format!("/me?access_token={query}")).await,
        anonymous.get(&format!("/products/{path}")).await,
        anonymous
            .call(Method::GET, "/me", &[("cookie", cookie)], "")
            .await
            .unwrap(),
        anonymous
            .call(
                Method::PUT,
                "/me",
                &[("content-type", "text/plain")],
                PASSWORD,
            )
            .await
            .unwrap(),
    ];
    let signed = [
        ("x-razorpay-signature", signature),
        ("content-type", "application/json"),
    ];
    let webhook = "/payments/razorpay/webhook";
    failed.push(
        anonymous
            .call(Method::POST, webhook, &signed, "{}")
            .await
            .unwrap(),
    );
    for (path, body) in [
        ("/auth/verify-email", json!({ "token": link })),
        (
            "/auth/reset-password",
            json!({ "token": link, "password": PASSWORD }),
        ),
        ("/auth/refresh", json!({ "refreshToken": refresh })),
        (
            "/auth/login",
            json!({ "email": "ada@example.com", "password": link }),
        ),
    ] {
        failed.push(anonymous.post(path, &body).await);
    }
    let mut bodies = String::new();
    for answer in failed {
        assert!(answer.status >= 400, "{answer:?}");
        bodies += &String::from_utf8_lossy(&answer.body);
    }
    bodies
}

/// Runs commands with the settings of the server. Returns what they print.
fn commands(site: &Site, settings: &[(&str, String)]) -> String {
    let mut printed = String::new();
    for arguments in [
        &["config"][..],
        &["config", "--json"],
        &["doctor", "--json"],
        &["verify"],
        &["backup"],
    ] {
        let mut command = program_on(site.database.as_deref());
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.args(arguments).arg("--data-dir").arg(site.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        printed += &String::from_utf8_lossy(&output.stdout);
        printed += &String::from_utf8_lossy(&output.stderr);
    }
    assert!(printed.contains("[redacted]"), "{printed}");
    printed
}

/// Returns the password of a database URL with what precedes it.
fn credentials(site: &Site) -> Option<String> {
    let (credentials, _) = site.database.as_ref()?.url().split_once('@')?;
    let has_password = credentials.matches(':').count() > 1;
    has_password.then(|| credentials.to_owned())
}

storage_test! {
    async fn failing_services_and_requests_disclose_no_secret(site: Site) {
        let service = refusing_service().await;
        for store in ["s3", "cloudinary"] {
            let metrics = free_address().to_string();
            let files = CertificateFiles::new();
            let mut settings = settings(&site, &service, store, &metrics);
            settings.extend(files.settings().map(|(name, path)| (name, path.to_str().unwrap().to_owned())));
            let variables: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut process = site.start_with(&variables);
            let log = listen(&mut process);
            let basic = BASE64_STANDARD.encode(format!("rzp_test_1DP5mmOlF5G5ag:{RAZORPAY}"));
            let mut secrets: Vec<String> = [JWT, WEBHOOK, RAZORPAY, SMTP, S3, CLOUDINARY, PASSWORD, &basic]
                .into_iter().chain(MISPLACED).map(str::to_owned).collect();
            secrets.extend(credentials(&site));

            let mut outputs = BTreeMap::new();
            for (version, http) in [("1", files.client().http1_only()), ("2", files.client())] {
                let anonymous = Remote::with_http(&process, http.build().unwrap());
                let name = format!("{store}{version}");
                let bodies = tour(&site, &anonymous, &name, &mut secrets).await;
                outputs.insert(format!("the errors of HTTP/{version}"), bodies);
            }
            let scraped = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap();
            outputs.insert("the metrics".to_owned(), scraped.text().await.unwrap());
            let printed = tokio::task::block_in_place(|| commands(&site, &settings));
            outputs.insert("the commands".to_owned(), printed);
            process.terminate();
            let ended = tokio::task::spawn_blocking(move || process.wait()).await.unwrap();
            assert!(ended.success());
            let log = log.join().unwrap();
            assert!(log.len() > 100, "the log is almost empty: {log:?}");
            outputs.insert("the log".to_owned(), log.join("\n"));
            for (name, text) in &outputs {
                for line in text.lines() {
                    let found = secrets.iter().find(|secret| line.contains(secret.as_str()));
                    assert_eq!(found, None, "{store}: {name}: {line}");
                }
            }
        }
    }
}

#[test]
fn the_debug_output_of_the_configuration_redacts_secrets() {
    use shop::infra::config::{Config, Layer};
    // As a panic would print it.
    let smtp = format!("smtp://shop:{SMTP}@localhost?tls=opportunistic");
    let cloudinary = format!("cloudinary://1:{CLOUDINARY}@demo");
    let settings = vec![
        ("jwt_secret", JWT),
        ("razorpay_webhook_secret", WEBHOOK),
        ("razorpay_key_id", "rzp_test_1DP5mmOlF5G5ag"),
        ("razorpay_key_secret", RAZORPAY),
        ("smtp_url", &smtp),
        ("mail_from", "shop@shop.example"),
        ("cloudinary_url", &cloudinary),
        (
            "database_url",
            "postgres://shop:canary-database@localhost/shop",
        ),
    ];
    let config = Config::from_layers(&[Layer::from_flags(settings)]).unwrap();
    let text = format!("{config:?}");
    assert!(!text.contains("canary"), "{text}");
}
