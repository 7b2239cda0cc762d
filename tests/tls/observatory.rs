//! The rules of Mozilla's HTTP Observatory
//! (<https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring>), applied to each kind of response.

use http::{HeaderMap, Method};

use super::CertificateFiles;
use crate::support::{Form, Remote, TestResponse, images, sqlite_test};

/// From this score the grade is A+.
const A_PLUS: i32 = 100;

/// The bonuses count only from this score without them.
const BONUS_FROM: i32 = 90;

/// Six months, in seconds.
const MIN_HSTS: u64 = 15_768_000;

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).map(|value| value.to_str().unwrap());
    value.unwrap_or_default()
}

/// Returns the sources of a directive; `None` if the policy does not contain it.
fn sources<'a>(policy: &'a str, directive: &str) -> Option<Vec<&'a str>> {
    policy.split(';').find_map(|text| {
        let mut words = text.split_whitespace();
        (words.next() == Some(directive)).then(|| words.collect())
    })
}

/// Returns what the Content Security Policy adds to the score.
fn content_security_policy(policy: &str) -> i32 {
    let script = sources(policy, "script-src").or_else(|| sources(policy, "default-src"));
    let style = sources(policy, "style-src").or_else(|| sources(policy, "default-src"));
    let (Some(script), Some(style)) = (script, style) else {
        return -25;
    };
    let all = policy.split([';', ' ']).collect::<Vec<_>>();
    let is_broad =
        |source: &&str| ["*", "data:", "http:", "https:", "'unsafe-inline'"].contains(source);
    if script.iter().any(is_broad) {
        return -20;
    }
    if all
        .iter()
        .any(|word| word.starts_with("http:") || word.starts_with("ftp:"))
    {
        return -20;
    }
    if script.contains(&"'unsafe-eval'") {
        return -10;
    }
    if style.iter().any(is_broad) {
        return 0;
    }
    let is_none = sources(policy, "default-src").is_some_and(|sources| sources == ["'none'"]);
    if is_none { 10 } else { 5 }
}

fn strict_transport_security(value: &str) -> i32 {
    let age = value
        .split(';')
        .find_map(|it| it.trim().strip_prefix("max-age="));
    match age.map(str::parse::<u64>) {
        None => -20,
        Some(Ok(MIN_HSTS..)) => 0,
        Some(_) => -10,
    }
}

/// Returns whether every script and style sheet of a page has this origin, so that it needs no integrity hash.
fn loads_from_its_origin(page: &str) -> bool {
    let scripts = page.split("<script").skip(1);
    let links = page.split("<link").skip(1);
    let urls = scripts
        .map(|tag| (tag, "src=\""))
        .chain(links.map(|tag| (tag, "href=\"")));
    let mut urls = urls.map(|(tag, attribute)| {
        let tag = tag.split('>').next().unwrap();
        tag.split_once(attribute).map(|(_, value)| value)
    });
    urls.all(|url| url.is_some_and(|url| !url.starts_with("//") && !url.starts_with("http")))
}

/// Returns the score of a response, and each part of it that is not 0.
fn score(response: &TestResponse) -> (i32, Vec<(&'static str, i32)>) {
    let headers = &response.headers;
    let value = |name| header(headers, name);
    let policy = value("content-security-policy");
    let page = String::from_utf8_lossy(&response.body);
    let is_page = value("content-type").starts_with("text/html");
    let has_ancestors = sources(policy, "frame-ancestors").is_some_and(|it| it == ["'none'"]);
    let parts = [
        (
            "cookies",
            if headers.contains_key("set-cookie") {
                -40
            } else {
                0
            },
        ),
        (
            "cross-origin resource sharing",
            if value("access-control-allow-origin").is_empty() {
                0
            } else {
                -50
            },
        ),
        ("content security policy", content_security_policy(policy)),
        (
            "strict transport security",
            strict_transport_security(value("strict-transport-security")),
        ),
        (
            "subresource integrity",
            if !is_page || loads_from_its_origin(&page) {
                0
            } else {
                -50
            },
        ),
        (
            "content type options",
            if value("x-content-type-options") == "nosniff" {
                0
            } else {
                -5
            },
        ),
        (
            "frame options",
            match value("x-frame-options") {
                _ if has_ancestors => 5,
                "DENY" | "SAMEORIGIN" => 0,
                _ => -20,
            },
        ),
        (
            "referrer policy",
            match value("referrer-policy") {
                "no-referrer" | "same-origin" | "strict-origin" => 5,
                "" => 0,
                _ => -5,
            },
        ),
        (
            "cross-origin resource policy",
            match value("cross-origin-resource-policy") {
                "same-origin" | "same-site" => 10,
                "cross-origin" => 0,
                _ => -5,
            },
        ),
    ];
    let penalties: i32 = parts.iter().map(|(_, points)| points.min(&0)).sum();
    let bonuses: i32 = parts.iter().map(|(_, points)| points.max(&0)).sum();
    let score = 100 + penalties;
    let score = if score >= BONUS_FROM {
        score + bonuses
    } else {
        score
    };
    (
        score,
        parts
            .into_iter()
            .filter(|(_, points)| *points != 0)
            .collect(),
    )
}

sqlite_test! {
    async fn every_kind_of_response_is_graded_a_plus(site: Site) {
        let files = CertificateFiles::new();
        let settings = files.settings();
        let settings = settings.each_ref().map(|(name, path)| (*name, path.to_str().unwrap()));
        let server = site.start_with(&settings);
        let http = files.client().build().unwrap();
        let anonymous = Remote::with_http(&server, http.clone());
        anonymous.registered("boss").await;
        let promoted = site.run(&["admin", "user", "role", "boss@example.com", "ADMIN"]);
        assert!(promoted.status.success(), "{promoted:?}");
        let boss = anonymous.signed_in("boss").await;
        let form = Form::default().text("name", "Pan").text("price", "5").image(&images::png());
        let kind = [("content-type", Form::CONTENT_TYPE)];
        let made = boss.call(Method::POST, "/products", &kind, form.body()).await.unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        let image = made.text("/images/0/url");
        let (_, key) = image.split_once("/images/").unwrap();

        let fetch = async |path: &str| {
            let answer = http.get(format!("{}{path}", server.url)).send().await.unwrap();
            TestResponse {
                status: answer.status().as_u16(),
                headers: answer.headers().clone(),
                body: answer.bytes().await.unwrap(),
            }
        };
        let (image, resized) = (format!("/images/{key}"), format!("/images/{key}?w=320"));
        for (path, status) in [
            ("/", 200), ("/docs", 200), ("/first-admin", 200), ("/nowhere", 404), ("/healthz", 200), ("/readyz", 200), ("/openapi.json", 200),
            ("/api/v1/products", 200), ("/api/v1/me", 401), ("/api/v1/products?page=x", 400),
            ("/problems/forbidden", 200), ("/problems/page.css", 200),
            ("/verify-email", 200), ("/reset-password", 200), ("/pages/page.js", 200), ("/pages/page.css", 200),
            (&*image, 200), (&*resized, 200), ("/images/nothing", 404),
        ] {
            let response = fetch(path).await;
            assert_eq!(response.status, status, "{path}: {response:?}");
            let (score, parts) = score(&response);
            assert!(score >= A_PLUS, "{path}: {score}: {parts:?}");
            assert!(parts.iter().all(|(_, points)| *points > 0), "{path}: {parts:?}");
        }
        for path in ["/me", "/cart", "/orders", "/products", "/nowhere", "/admin/orders"] {
            let response = boss.get(path).await;
            let (score, parts) = score(&response);
            assert!(score >= A_PLUS, "{path}: {score}: {parts:?}");
            assert_eq!(response.header("cache-control"), Some("no-store"), "{path}");
        }
    }
}

#[test]
fn weak_headers_get_a_lower_grade() {
    let none = TestResponse {
        status: 200,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    assert!(score(&none).0 < BONUS_FROM);
    for weak in [
        "",
        "script-src *; style-src 'self'",
        "default-src 'self' 'unsafe-inline'",
        "default-src 'none'; script-src 'unsafe-eval'",
        "default-src 'none'; img-src http:",
    ] {
        assert!(content_security_policy(weak) < 0, "{weak}");
    }
    assert_eq!(content_security_policy("default-src 'none'"), 10);
    assert!(strict_transport_security("max-age=3600") < 0);
    assert!(!loads_from_its_origin(
        "<script src=\"https://cdn.example/a.js\"></script>"
    ));
    assert!(!loads_from_its_origin("<script>alert(1)</script>"));
    assert!(loads_from_its_origin(
        "<link rel=\"icon\" href=\"icon.svg\"><script src=\"a.js\"></script>"
    ));
}
