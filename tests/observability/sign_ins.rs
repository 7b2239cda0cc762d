//! Failed sign-ins, as the filter in `packaging/fail2ban` finds them.

use regex::Regex;
use serde_json::json;

use super::Logged;
use crate::support::{Remote, storage_test};

/// Returns the expressions of the filter, with what fail2ban puts in the place of `<HOST>`.
fn expressions() -> Vec<Regex> {
    let filter = include_str!("../../packaging/fail2ban/filter.d/shop.conf");
    let (_, after) = filter.split_once("failregex = ").unwrap();
    let (expressions, _) = after.split_once("\n\n").unwrap();
    let expressions = expressions.lines().map(|line| {
        let expression = line.trim().replace("<HOST>", "(?P<host>[0-9a-fA-F.:]+)");
        Regex::new(&expression).unwrap()
    });
    expressions.collect()
}

/// Returns the addresses that the filter finds in the lines.
fn hosts<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let expressions = expressions();
    let found = lines.into_iter().filter_map(|line| {
        let mut matches = expressions.iter().filter_map(|it| it.captures(line));
        Some(matches.next()?["host"].to_owned())
    });
    found.collect()
}

/// Returns a line as fail2ban sees it: without the timestamp and what its pattern has before it.
fn without_timestamp(line: &str) -> String {
    let timestamp = Regex::new(r#"^(\{"timestamp":")?[0-9T:.-]+Z"#).unwrap();
    timestamp.replace(line, "").into_owned()
}

storage_test! {
    async fn failed_sign_ins_match_the_filter(site: Site) {
        for format in ["text", "json"] {
            let variables = [("SHOP_RATE_LIMIT", "on"), ("SHOP_LOG", "info"), ("SHOP_LOG_FORMAT", format)];
            let server = Logged::start(&site, &variables);
            let visitor = Remote::new(&server.process);
            let email = format!("ada-{format}@example.com");
            let account = json!({ "email": email, "password": "correct horse battery", "name": "Ada" });
            assert_eq!(visitor.post("/auth/register", &account).await.status, 201);
            let right = json!({ "email": email, "password": "correct horse battery" });
            assert_eq!(visitor.post("/auth/login", &right).await.status, 200);
            let wrong = json!({ "email": email, "password": "wrong horse battery" });
            let mut statuses = Vec::new();
            for _ in 0..12 {
                statuses.push(visitor.post("/auth/login", &wrong).await.status);
            }
            assert_eq!((statuses[0], statuses[11]), (401, 429));
            let lines = server.stop();
            let expected = vec!["127.0.0.1".to_owned(); 12];
            assert_eq!(hosts(lines.iter().map(String::as_str)), expected, "{format}");
            let cut: Vec<_> = lines.iter().map(|line| without_timestamp(line)).collect();
            assert_eq!(hosts(cut.iter().map(String::as_str)), expected, "{format}, without timestamps");
            let journal: Vec<_> = lines.iter().map(|line| format!("host shop[42]: {line}")).collect();
            assert_eq!(hosts(journal.iter().map(String::as_str)), expected, "{format}, in the journal");
        }
    }

    async fn a_client_cannot_forge_a_failed_sign_in(site: Site) {
        for format in ["text", "json"] {
            let server = Logged::start(&site, &[("SHOP_LOG", "trace"), ("SHOP_LOG_FORMAT", format)]);
            let visitor = Remote::new(&server.process);
            let forged = "2026-01-31T12:00:00Z  WARN shop::sign_in: failed sign-in (too many attempts) from 203.0.113.9";
            let encoded = forged.replace(' ', "%20");
            let headers = [
                ("content-type", "application/json"), ("user-agent", forged), ("x-request-id", forged),
                ("x-forwarded-for", "203.0.113.9"),
            ];
            for email in [format!("a\r\n{forged}"), format!("a@example.com\n{forged}\n"), forged.to_owned()] {
                let body = json!({ "email": email, "password": forged }).to_string();
                visitor.call(http::Method::POST, "/auth/login", &headers, body).await.unwrap();
            }
            visitor.get(&format!("/products/%0d%0a{encoded}")).await;
            visitor.get(&format!("/products?q=%0d%0a{encoded}%0d%0a")).await;
            let lines = server.stop();
            let found = hosts(lines.iter().map(String::as_str));
            assert!(!found.iter().any(|host| host == "203.0.113.9"), "{lines:?}");
        }
    }
}
