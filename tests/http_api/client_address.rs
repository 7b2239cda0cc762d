//! Which client a request counts for: behind proxies, and in networks of `IPv6`.

use std::net::IpAddr;

use http::{HeaderValue, Method, Request};
use serde_json::Value;

use crate::support::{Answer, Client, TestShop, storage_test};

/// Few enough requests to tell a spent quota from a fresh one, and enough for what comes back to a
/// spent one while a slow machine tests.
const FEW: usize = 15;

/// Spends the quota for accounts; tells how many requests were let through and the refusal.
pub(super) async fn exhaust(
    client: &Client<'_>,
    forwarded: impl Fn(usize) -> String,
) -> (usize, Answer) {
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

/// A trusted proxy, and a header that it sends as raw bytes.
async fn through_proxy(shop: &TestShop, name: &str, values: &[&[u8]]) -> Answer {
    let mut request = Request::post("/api/v1/auth/verify-email");
    for value in values {
        request = request.header(name, HeaderValue::from_bytes(value).unwrap());
    }
    let proxy: IpAddr = "10.0.0.1".parse().unwrap();
    shop.send(request.body(axum::body::Body::empty()).unwrap(), proxy)
        .await
}

/// How many requests of its quota a client has left after this one.
fn remaining(answer: &Answer) -> u32 {
    let standing = answer.header("ratelimit").unwrap();
    let (_, rest) = standing.split_once("r=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

const LIMITED: [(&str, &str); 2] = [("rate_limit", "on"), ("trusted_proxies", "10.0.0.0/8")];

storage_test! {
    async fn a_forwarded_address_counts_only_from_a_trusted_proxy(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on"), ("trusted_proxies", "10.0.0.0/8")]).await;
        // From anywhere else the header is only talk.
        let liar = shop.anonymous().at("203.0.113.7");
        exhaust(&liar, |n| format!("198.51.100.{n}")).await;

        // Through a proxy each client counts alone, and what it wrote itself does not count.
        let proxy = shop.anonymous().at("10.0.0.1");
        exhaust(&proxy, |n| format!("192.0.2.{n}, 198.51.100.1")).await;
        let twin = shop.anonymous().at("10.0.0.2");
        for (client, spent) in [
            (&proxy, "198.51.100.1, 10.9.9.9"),
            (&twin, "198.51.100.1"),
            (&twin, "::ffff:198.51.100.1"),
            (&twin, "203.0.113.7"),
        ] {
            let (let_through, _) = exhaust(client, |_| spent.to_owned()).await;
            assert!(let_through < FEW, "{spent}: {let_through}");
        }
        let fresh = [("x-forwarded-for", "198.51.100.2")];
        let answer = proxy.call(Method::POST, "/auth/verify-email", &fresh, Value::Null).await;
        assert_eq!(answer.header("ratelimit").map(|it| &it[..15]), Some("\"accounts\";r=29"));
    }

    async fn a_provider_gives_a_whole_network_to_one_client(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let client = shop.anonymous().at("2001:db8:1:1::1");
        exhaust(&client, |_| String::new()).await;
        let let_through = async |peer: &str| {
            exhaust(&shop.anonymous().at(peer), |_| String::new()).await.0
        };
        assert!(let_through("2001:db8:1:1:ffff::2").await < FEW);
        assert!(let_through("2001:db8:1:2::1").await > FEW);
    }

    async fn an_ipv6_site_gets_eight_times_the_quota_of_one_network(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let let_through = async |network: usize| {
            let client = shop.anonymous().at(&format!("2001:db8:1:{network:x}::1"));
            exhaust(&client, |_| String::new()).await.0
        };
        for network in 0..8 {
            assert!(let_through(network).await > FEW, "network {network}");
        }
        assert!(let_through(8).await < FEW, "the site's quota is spent");
        let neighbour = shop.anonymous().at("2001:db8:2::1");
        assert!(exhaust(&neighbour, |_| String::new()).await.0 > FEW);
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
                assert_eq!(remaining(&answer), 29, "{hop} has a budget of its own");
            }
        }
        for hop in ["203.0.113.17", "203.0.113.17:9", "[::ffff:203.0.113.17]:80"] {
            let answer = through_proxy(&shop, "x-forwarded-for", &[hop.as_bytes()]).await;
            assert!(remaining(&answer) < 29, "{hop} is the first client again");
        }
    }

    async fn bytes_that_a_client_puts_before_the_proxys_hop_change_nothing(shop: TestShop) {
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

    async fn a_proxy_may_name_the_client_in_a_header_of_its_own(shop: TestShop) {
        let settings = [LIMITED[0], LIMITED[1], ("client_ip_header", "Fly-Client-IP")];
        let shop = shop.with_settings(&settings).await;
        // What a client writes into the list of hops has no effect then.
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
        // Without the header, or with two, the proxy itself is the client; from elsewhere it is ignored.
        assert_eq!(remaining(&through_proxy(&shop, "fly-client-ip", &[]).await), 29);
        let twice: [&[u8]; 2] = [b"198.51.100.9", b"198.51.100.10"];
        assert!(remaining(&through_proxy(&shop, "fly-client-ip", &twice).await) < 29);
        let liar = shop.anonymous().at("203.0.113.7");
        for n in 0..5 {
            let header = format!("198.51.100.{n}");
            let headers = [("fly-client-ip", header.as_str())];
            let answer = liar.call(Method::POST, "/auth/verify-email", &headers, Value::Null).await;
            assert!(remaining(&answer).abs_diff(29 - n) <= 1, "{answer:?}");
        }
    }
}
