//! The client that a request counts for: behind proxies, and in `IPv6` networks.

use std::net::IpAddr;

use http::{HeaderValue, Method, Request};
use serde_json::Value;

use crate::support::{Client, TestResponse, TestShop, storage_test};

/// Fewer requests than a full quota, but more than what an exhausted one regains during a slow test.
const PARTIAL_QUOTA: usize = 15;

/// Exhausts the quota of the `accounts` class. Returns the number of accepted requests, and the rejection.
pub(super) async fn exhaust(
    client: &Client<'_>,
    forwarded: impl Fn(usize) -> String,
) -> (usize, TestResponse) {
    for n in 0..200 {
        let header = forwarded(n);
        let headers = [("x-forwarded-for", header.as_str())];
        let answer = client
            .call(Method::POST, "/auth/verify-email", &headers, Value::Null)
            .await;
        if answer.status == 429 {
            return (n, answer);
        }
        assert_eq!(answer.status, 415, "{answer:?}");
    }
    panic!("no limit after 200 requests");
}

/// Sends a request through a trusted proxy, with a header of raw bytes.
async fn through_proxy(shop: &TestShop, name: &str, values: &[&[u8]]) -> TestResponse {
    let mut request = Request::post("/api/v1/auth/verify-email");
    for value in values {
        request = request.header(name, HeaderValue::from_bytes(value).unwrap());
    }
    let proxy: IpAddr = "10.0.0.1".parse().unwrap();
    shop.send(request.body(axum::body::Body::empty()).unwrap(), proxy)
        .await
}

/// Returns how many requests the client has left.
fn remaining(answer: &TestResponse) -> u32 {
    let status = answer.header("ratelimit").unwrap();
    let (_, rest) = status.split_once("r=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

const LIMITED: [(&str, &str); 2] = [("rate_limit", "on"), ("trusted_proxies", "10.0.0.0/8")];

storage_test! {
    async fn a_forwarded_address_counts_only_from_a_trusted_proxy(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on"), ("trusted_proxies", "10.0.0.0/8")]).await;
        // From other peers the header is ignored.
        let untrusted = shop.anonymous().at("203.0.113.7");
        exhaust(&untrusted, |n| format!("198.51.100.{n}")).await;

        // Behind a proxy each client has its own quota, and the hops that it claims itself are ignored.
        let proxy = shop.anonymous().at("10.0.0.1");
        exhaust(&proxy, |n| format!("192.0.2.{n}, 198.51.100.1")).await;
        let twin = shop.anonymous().at("10.0.0.2");
        for (client, spent) in [
            (&proxy, "198.51.100.1, 10.9.9.9"),
            (&twin, "198.51.100.1"),
            (&twin, "::ffff:198.51.100.1"),
            (&twin, "203.0.113.7"),
        ] {
            let (accepted, _) = exhaust(client, |_| spent.to_owned()).await;
            assert!(accepted < PARTIAL_QUOTA, "{spent}: {accepted}");
        }
        let fresh = [("x-forwarded-for", "198.51.100.2")];
        let answer = proxy.call(Method::POST, "/auth/verify-email", &fresh, Value::Null).await;
        assert_eq!(answer.header("ratelimit").map(|it| &it[..15]), Some("\"accounts\";r=29"));
    }

    async fn an_ipv6_64_counts_as_one_client(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let client = shop.anonymous().at("2001:db8:1:1::1");
        exhaust(&client, |_| String::new()).await;
        let accepted = async |peer: &str| {
            exhaust(&shop.anonymous().at(peer), |_| String::new()).await.0
        };
        assert!(accepted("2001:db8:1:1:ffff::2").await < PARTIAL_QUOTA);
        assert!(accepted("2001:db8:1:2::1").await > PARTIAL_QUOTA);
    }

    async fn an_ipv6_site_gets_eight_times_the_quota_of_one_network(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let accepted = async |network: usize| {
            let client = shop.anonymous().at(&format!("2001:db8:1:{network:x}::1"));
            exhaust(&client, |_| String::new()).await.0
        };
        for network in 0..8 {
            assert!(accepted(network).await > PARTIAL_QUOTA, "network {network}");
        }
        assert!(accepted(8).await < PARTIAL_QUOTA, "the site's quota is spent");
        let neighbour = shop.anonymous().at("2001:db8:2::1");
        assert!(exhaust(&neighbour, |_| String::new()).await.0 > PARTIAL_QUOTA);
    }

    async fn hops_with_ports_count_as_their_addresses(shop: TestShop) {
        let shop = shop.with_settings(&LIMITED).await;
        for (first, second) in [
            ("203.0.113.17:50123", "203.0.113.18:50123"),
            ("[2001:db8:1::1]:443", "[2001:db8:2::1]:443"),
            ("[2001:db8:3::1]", "2001:db8:4::1"),
        ] {
            for hop in [first, second] {
                let answer = through_proxy(&shop, "x-forwarded-for", &[hop.as_bytes()]).await;
                assert_eq!(remaining(&answer), 29, "{hop} has its own quota");
            }
        }
        for hop in ["203.0.113.17", "203.0.113.17:9", "[::ffff:203.0.113.17]:80"] {
            let answer = through_proxy(&shop, "x-forwarded-for", &[hop.as_bytes()]).await;
            assert!(remaining(&answer) < 29, "{hop} is the first client");
        }
    }

    async fn hops_that_the_proxy_did_not_add_are_ignored(shop: TestShop) {
        let shop = shop.with_settings(&LIMITED).await;
        let lines: [&[&[u8]]; 5] = [
            &[b"\xff, 198.51.100.7"], &[b"\x80\xfe,198.51.100.7 "], &[b"nonsense, 198.51.100.7"],
            &[b"\xe9", b"198.51.100.7"], &[b"192.0.2.1, \xff", b"198.51.100.7, 10.9.9.9"],
        ];
        for (count, line) in lines.into_iter().enumerate() {
            let answer = through_proxy(&shop, "x-forwarded-for", line).await;
            let spent = u32::try_from(count).unwrap() + 1;
            assert!(remaining(&answer).abs_diff(30 - spent) <= 1, "{line:?}: {answer:?}");
        }
    }

    async fn a_proxy_can_set_the_client_in_its_own_header(shop: TestShop) {
        let settings = [LIMITED[0], LIMITED[1], ("client_ip_header", "Fly-Client-IP")];
        let shop = shop.with_settings(&settings).await;
        // `X-Forwarded-For` is ignored then.
        for n in 0..5 {
            let mut request = Request::post("/api/v1/auth/verify-email")
                .header("fly-client-ip", "198.51.100.7");
            request = request.header("x-forwarded-for", format!("192.0.2.{n}"));
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = shop.send(request, "10.0.0.1".parse().unwrap()).await;
            assert!(remaining(&answer).abs_diff(29 - n) <= 1, "{answer:?}");
        }
        let other = through_proxy(&shop, "fly-client-ip", &[b"198.51.100.8"]).await;
        assert_eq!(remaining(&other), 29);
        // Without the header, or with two, the proxy is the client. From other peers the header is ignored.
        assert_eq!(remaining(&through_proxy(&shop, "fly-client-ip", &[]).await), 29);
        let twice: [&[u8]; 2] = [b"198.51.100.9", b"198.51.100.10"];
        assert!(remaining(&through_proxy(&shop, "fly-client-ip", &twice).await) < 29);
        let untrusted = shop.anonymous().at("203.0.113.7");
        for n in 0..5 {
            let header = format!("198.51.100.{n}");
            let headers = [("fly-client-ip", header.as_str())];
            let answer = untrusted.call(Method::POST, "/auth/verify-email", &headers, Value::Null).await;
            assert!(remaining(&answer).abs_diff(29 - n) <= 1, "{answer:?}");
        }
    }
}
