//! The real program behind nginx and Caddy, configured by the files in `packaging/`. Every feature works there as
//! it does without a proxy.

use std::net::IpAddr;

use http::Method;
use reqwest::Url;
use serde_json::{Value, json};
use shop::infra::{config::Secret, ports::gateway::razorpay::signature};

use crate::support::{
    Form, Process, Remote, TestResponse, Wire,
    event_stream::EventStream,
    images,
    live::Listener,
    provider::{WEBHOOK, event},
    proxy::{Kind, Proxy, free_address},
    run_with_input,
};

const SECRET: &str = "a webhook secret of this test";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A shop behind a proxy.
struct Front {
    kind: Kind,
    /// The shop's public URL.
    url: String,
    anonymous: Remote,
    admin: Remote,
    proxy: Proxy,
    process: Process,
    _directory: tempfile::TempDir,
}

impl Front {
    async fn of(kind: Kind) -> Option<Front> {
        let directory = tempfile::tempdir().unwrap();
        let address = free_address();
        let url = format!("http://{address}{}", kind.path());
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_shop"));
        program.envs([
            // With a slash at the end, as an operator may write it.
            ("SHOP_PUBLIC_URL", &*format!("{url}/")),
            ("SHOP_TRUSTED_PROXIES", "127.0.0.1"),
            ("SHOP_RAZORPAY_WEBHOOK_SECRET", SECRET),
            ("SHOP_RATE_LIMIT", "on"),
        ]);
        let process = Process::start_with(program, directory.path());
        let shop = process
            .url
            .strip_prefix("http://")
            .unwrap()
            .parse()
            .unwrap();
        let proxy = kind.start(address, shop)?;
        let add = [
            "admin",
            "user",
            "add",
            "--email",
            "admin@example.com",
            "--name",
            "Admin",
        ];
        let more = ["--role", "ADMIN", "--password-stdin"];
        let added = run_with_input(directory.path(), &[&add[..], &more].concat(), PASSWORD);
        assert!(added.status.success(), "{added:?}");
        let anonymous = Remote::to(&url);
        Some(Front {
            kind,
            admin: anonymous.signed_in("admin").await,
            anonymous,
            url,
            proxy,
            process,
            _directory: directory,
        })
    }

    /// Resolves a link in the response of `path`.
    fn resolve(&self, path: &str, link: &str) -> Url {
        Url::parse(&format!("{}{path}", self.url))
            .unwrap()
            .join(link)
            .unwrap()
    }

    async fn product(&self, name: &str) -> TestResponse {
        let body = json!({
            "name": name, "price": 500, "stockQuantity": 9, "description": "plain ".repeat(500),
        });
        let made = self.admin.post("/products", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made
    }
}

const PASSWORD: &str = "correct horse battery";

/// Fetches a URL and checks its content type. Returns the text.
async fn fetch(url: Url, content_type: &str) -> String {
    let answer = reqwest::get(url.clone()).await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    let found = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(found.starts_with(content_type), "{url}: {found}");
    answer.text().await.unwrap()
}

async fn every_feature_works(kind: Kind) {
    let Some(front) = Front::of(kind).await else {
        return;
    };
    tags(&front).await;
    links(&front).await;
    pages(&front).await;
    uploads(&front).await;
    early_errors(&front).await;
    orders(&front).await;
    clients(&front).await;
    heads(&front).await;
    live_inventory(front).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feature_works_behind_nginx() {
    every_feature_works(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feature_works_behind_nginx_under_a_path() {
    every_feature_works(Kind::NginxPath).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feature_works_behind_caddy() {
    every_feature_works(Kind::Caddy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feature_works_behind_caddy_under_a_path() {
    every_feature_works(Kind::CaddyPath).await;
}

/// An entity tag that the proxy changed while compressing identifies the same version.
async fn tags(front: &Front) {
    let made = front.product("Kettle").await;
    let path = format!("/products/{}", made.text("/id"));
    let gzip = ("accept-encoding", "gzip");
    let get = async |headers: &[(&str, &str)]| {
        front
            .anonymous
            .call(Method::GET, &path, headers, "")
            .await
            .unwrap()
    };
    let compressed = get(&[gzip]).await;
    assert_eq!(
        compressed.header("content-encoding"),
        Some("gzip"),
        "{:?}",
        front.kind
    );
    let tag = compressed.header("etag").unwrap().to_owned();
    assert_eq!(
        get(&[gzip, ("if-none-match", &tag)]).await.status,
        304,
        "{tag}"
    );
    let set_stock = async |tag: &str, stock: i64| {
        let body = json!({ "stockQuantity": stock }).to_string();
        let headers = [JSON, ("if-match", tag)];
        front
            .admin
            .call(Method::PATCH, &path, &headers, body)
            .await
            .unwrap()
    };
    let changed = set_stock(&tag, 8).await;
    assert_eq!(changed.status, 200, "{tag}: {changed:?}");
    set_stock(&tag, 7)
        .await
        .assert_problem_under(front.kind.path(), 412, "precondition-failed");
    let deleted = front
        .admin
        .call(Method::DELETE, &path, &[], "")
        .await
        .unwrap();
    assert_eq!(deleted.status, 204);
}

/// `Location` and `Link` resolve to URLs behind the proxy.
async fn links(front: &Front) {
    for name in ["Cup", "Mug"] {
        let made = front.product(name).await;
        let location = made.header("location").unwrap();
        let text = fetch(
            front.resolve("/api/v1/products", location),
            "application/json",
        )
        .await;
        assert!(text.contains(name), "{text}");
    }
    let listed = front.anonymous.get("/products?limit=1").await;
    let next = listed
        .header("link")
        .unwrap()
        .split(", ")
        .find(|link| link.contains("\"next\""));
    let next = next.unwrap().split(['<', '>']).nth(1).unwrap();
    let text = fetch(front.resolve("/api/v1/products", next), "application/json").await;
    assert!(text.contains("\"page\":2"), "{text}");
}

/// Pages load their assets, also under a path.
async fn pages(front: &Front) {
    let missing = front.anonymous.get("/nowhere").await;
    missing.assert_problem_under(front.kind.path(), 404, "not-found");
    let problem = front.resolve("/api/v1/nowhere", &missing.text("/type"));
    for (page, files) in [
        (front.resolve("", &format!("{}/verify-email", front.url)), 2),
        (
            front.resolve("", &format!("{}/reset-password", front.url)),
            2,
        ),
        (front.resolve("", &format!("{}/first-admin", front.url)), 2),
        (front.resolve("", &format!("{}/docs", front.url)), 5),
        (problem, 2),
    ] {
        let text = fetch(page.clone(), "text/html").await;
        let mut named = 0;
        for part in text.split(" href=\"").chain(text.split(" src=\"")) {
            let name = part.split('"').next().unwrap();
            let kind = match name.rsplit_once('.').map(|(_, kind)| kind) {
                Some("css") => "text/css",
                Some("js") => "text/javascript",
                Some("json") => "application/json",
                _ => continue,
            };
            named += 1;
            let script = fetch(page.join(name).unwrap(), kind).await;
            // The pages of emails call the API by a path relative to the page.
            if name.ends_with("page.js")
                && let Some((_, rest)) = script.split_once("path: '")
            {
                let api = page.join(rest.split('\'').next().unwrap()).unwrap();
                let request = reqwest::Client::new().post(api).header(JSON.0, JSON.1);
                let answer = request.body(r#"{"token":"x"}"#).send().await.unwrap();
                assert_eq!(answer.status(), 400);
            }
        }
        assert_eq!(named, files, "{text}");
    }
    let document = fetch(
        front.resolve("", &format!("{}/openapi.json", front.url)),
        JSON.1,
    )
    .await;
    let document: Value = serde_json::from_str(&document).unwrap();
    let server = document["servers"][0]["url"].as_str().unwrap_or_default();
    let expected = match front.kind.path() {
        "" => "/",
        path => path,
    };
    assert_eq!(server, expected);
    if !front.kind.path().is_empty() {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let bare = client
            .build()
            .unwrap()
            .get(&front.url)
            .send()
            .await
            .unwrap();
        assert!(bare.status().is_redirection(), "{bare:?}");
    }
}

async fn uploads(front: &Front) {
    let form = [("content-type", Form::CONTENT_TYPE)];
    let post = async |headers: &[(&str, &str)], body: Vec<u8>| {
        front
            .admin
            .call(Method::POST, "/products", headers, body)
            .await
            .unwrap()
    };
    let product = || Form::default().text("name", "Pan").text("price", "5");
    let made = post(&form, product().image(&images::png()).body()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let image = made.text("/images/0/url");
    assert!(
        image.starts_with(&format!("{}/images/", front.url)),
        "{image}"
    );
    fetch(Url::parse(&image).unwrap(), "image/png").await;
    fetch(Url::parse(&format!("{image}?w=320")).unwrap(), "image/").await;
    // The shop's limits apply, not smaller ones of the proxy.
    let path = front.kind.path();
    let large = (0..8).fold(product(), |form, _| form.image(&vec![7; 5 << 20]));
    post(&form, large.body())
        .await
        .assert_problem_under(path, 415, "unsupported-media-type");
    let larger = product().image(&vec![7; 6 << 20]);
    post(&form, larger.body())
        .await
        .assert_problem_under(path, 413, "payload-too-large");
    let coded = post(&[JSON, ("content-encoding", "gzip")], b"\x1f\x8b".to_vec()).await;
    coded.assert_problem_under(path, 415, "unsupported-media-type");
    assert_eq!(coded.header("accept-encoding"), Some("identity"));
}

/// Early responses, through the proxy.
async fn early_errors(front: &Front) {
    let forged = front.anonymous.with_token("x.y.z".to_owned());
    let form = [("content-type", Form::CONTENT_TYPE)];
    for kib in [10, 300, 3000] {
        let body = Form::default().image(&vec![7; kib * 1024]).body();
        for _ in 0..10 {
            let refused = forged
                .call(Method::POST, "/products", &form, body.clone())
                .await;
            let refused = refused.unwrap();
            refused.assert_problem_under(front.kind.path(), 401, "unauthorized");
        }
    }
    let large = vec![b' '; 1 << 20];
    let refused = front
        .anonymous
        .call(Method::POST, "/auth/login", &[JSON], large)
        .await
        .unwrap();
    refused.assert_problem_under(front.kind.path(), 413, "payload-too-large");
    // A client that reads only after it has sent everything.
    let path = front.kind.path();
    for body in [10 << 10, 3 << 20] {
        let mut wire = Wire::to(&format!("http://{}", front.proxy.address)).await;
        wire.send(&format!(
            "POST {path}/api/v1/products HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer x.y.z\r\n\
             content-type: application/json\r\ncontent-length: {body}\r\n\r\n",
            front.proxy.address
        ))
        .await;
        wire.try_send(&vec![b' '; body]).await.unwrap();
        assert_eq!(wire.answer().await.0, 401);
    }
}

/// `Idempotency-Key`, and a webhook whose signature covers every byte of its body.
async fn orders(front: &Front) {
    let ada = front.anonymous.registered("ada").await;
    let kettle = front.product("Kettle").await.text("/id");
    let added = ada.post("/cart", &json!({ "productId": kettle })).await;
    assert_eq!(added.status, 200, "{added:?}");
    let first = ada.check_out_once("key-1").await.unwrap();
    let second = ada.check_out_once("key-1").await.unwrap();
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    let path = format!("/orders/{}", first.text("/id"));
    let location = format!("{}/api/v1{path}", front.kind.path());
    assert_eq!(second.header("location"), Some(&*location));

    let captured = event("payment.captured", &first.json(), "pay_1");
    let body = format!("\r\n {captured:#}\t\u{a0}\n").replace('\u{a0}', " ");
    let signed = signature::sign(&Secret::from(SECRET), body.as_bytes());
    let headers = [
        JSON,
        ("x-razorpay-signature", &*signed),
        ("x-razorpay-event-id", "ev_1"),
    ];
    let answer = front
        .anonymous
        .call(Method::POST, WEBHOOK, &headers, body)
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(ada.get(&path).await.text("/status"), "PAID");
}

/// Rate limits count by the client's address, which the proxy forwards.
async fn clients(front: &Front) {
    let left = async |source: &str, claimed: &str| -> u64 {
        let source: IpAddr = source.parse().unwrap();
        let client = front.anonymous.at_address(source);
        let headers = [JSON, ("x-forwarded-for", claimed)];
        let token = r#"{"token":"x"}"#;
        let sent = client.call(Method::POST, "/auth/verify-email", &headers, token);
        let answer = sent.await.unwrap();
        let quota = answer.header("ratelimit").unwrap().to_owned();
        quota.split(['=', ';']).nth(2).unwrap().parse().unwrap()
    };
    let full = left("127.0.0.2", "198.51.100.1").await;
    for _ in 0..5 {
        left("127.0.0.2", "127.0.0.3, 198.51.100.2").await;
    }
    assert!(left("127.0.0.2", "198.51.100.9").await < full - 3);
    assert_eq!(left("127.0.0.3", "127.0.0.2").await, full);
}

/// Usual request heads pass. A head that is too large is rejected by the proxy or the shop.
async fn heads(front: &Front) {
    let with_cookie = async |bytes: usize| {
        let cookie = "a".repeat(bytes);
        let headers = [("cookie", &*cookie)];
        front
            .anonymous
            .call(Method::GET, "/products", &headers, "")
            .await
    };
    assert_eq!(with_cookie(7 << 10).await.unwrap().status, 200);
    if let Ok(refused) = with_cookie(2 << 20).await {
        assert!((400..500).contains(&refused.status), "{refused:?}");
    }
}

async fn live_inventory(front: Front) {
    let server = front.url.replacen("http", "ws", 1);
    let listen = async || Listener::at(&server, "", &[]).await.unwrap();
    let (mut first, mut second) = (listen().await, listen().await);
    assert_eq!(first.receive().await["type"], "HELLO");
    assert_eq!(second.receive().await["type"], "HELLO");
    let mut stream = EventStream::at(&front.url, "", None).await.unwrap();
    assert_eq!(stream.receive().await["type"], "HELLO", "unbuffered");
    let origin = front.url.trim_end_matches(front.kind.path());
    assert!(
        Listener::at(&server, "", &[("origin", origin)])
            .await
            .is_ok()
    );
    let foreign = Listener::at(&server, "", &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.err(), Some(403));
    let made = front.product("Teapot").await.text("/id");
    for listener in [&mut first, &mut second] {
        assert_eq!(listener.receive().await["products"][0]["id"], made);
    }
    assert_eq!(stream.receive().await["products"][0]["id"], made);
    assert_eq!(first.close_with(4000).await, Some(4000));
    front.process.terminate();
    assert_eq!(second.close_code().await, 1001);
    assert_eq!(stream.try_receive().await, None);
    let ended = tokio::task::spawn_blocking(|| front.process.wait())
        .await
        .unwrap();
    assert_eq!(ended.code(), Some(0));
}
