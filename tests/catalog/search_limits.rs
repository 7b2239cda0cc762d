//! Expensive searches of one client network, within its rate limit and beyond, delay only that network.

use std::fmt::Write;

use http::Method;

use crate::support::{Process, Remote, TestResponse, TestShop, storage_test};

/// The maximum number of threads, regardless of the number of waiting requests.
const MAX_THREADS: usize = 64;

/// The rate limit of searches per network and minute.
const QUOTA: usize = 300;

/// Inserts products that share a word.
fn seed(shop: &TestShop) {
    let file = shop.directory.path().join("products.csv");
    let mut csv = String::from("id,name,description,price,stockQuantity,category,images\n");
    for number in 0..5000 {
        let (price, stock) = (100 + number, number % 7);
        writeln!(csv, ",Copper kettle {number},copper,{price},{stock},,").unwrap();
    }
    std::fs::write(&file, csv).unwrap();
    let done = shop.run(&["admin", "product", "import", file.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
}

/// Starts a process that trusts this test as its proxy, and so the client addresses that it sends.
fn behind_a_proxy(shop: &TestShop) -> Process {
    Process::of_with(
        shop,
        &[
            ("SHOP_RATE_LIMIT", "on"),
            ("SHOP_TRUSTED_PROXIES", "127.0.0.1/32"),
        ],
    )
}

async fn search(client: &Remote, network: &str, path: &str) -> TestResponse {
    let headers = [("x-forwarded-for", network)];
    client.call(Method::GET, path, &headers, "").await.unwrap()
}

const EXPENSIVE: [&str; 4] = [
    "/products?q=c+k&sort=-price&page=40&limit=100",
    "/products?inStock=false&sort=name&page=7&limit=100",
    "/products?minPrice=1&maxPrice=100000&inStock=true&sort=-name",
    "/products?q=copper+ketle&inStock=true&sort=price&cursor=",
];

storage_test! {
    async fn expensive_searches_of_one_network_delay_no_others(shop: TestShop) {
        seed(&shop);
        shop.customer("ada").await;
        let server = behind_a_proxy(&shop);
        let client = Remote::new(&server);
        let attack = (0..QUOTA).map(|number| {
            search(&client, "203.0.113.7", EXPENSIVE[number % EXPENSIVE.len()])
        });
        let attack = futures_util::future::join_all(attack);
        let others = async {
            let mut most = 0;
            for number in 0..10 {
                let network = format!("198.51.100.{number}");
                let found = search(&client, &network, "/products?q=kettle+77").await;
                assert_eq!(found.status, 200, "{found:?}");
                assert_eq!(found.text("/data/0/name"), "Copper kettle 77");
                let headers = [("x-forwarded-for", &*network), ("content-type", "application/json")];
                let body = r#"{"email":"ada@example.com","password":"correct horse battery"}"#;
                let sent = client.call(Method::POST, "/auth/login", &headers, body);
                let signed_in = sent.await.unwrap();
                assert_eq!(signed_in.status, 200, "{signed_in:?}");
                most = most.max(server.memory("Threads:"));
            }
            most
        };
        let (answers, most) = futures_util::future::join(attack, others).await;
        assert!(most <= MAX_THREADS, "{most} threads");
        for answer in answers {
            match answer.status {
                200 => {}
                503 => assert_eq!(answer.header("retry-after"), Some("1")),
                _ => panic!("{answer:?}"),
            }
        }
        // The search limit is reached quickly; reads have another limit.
        let mut refused = None;
        while refused.is_none() {
            let more = (0..100).map(|_| search(&client, "203.0.113.7", "/products?q=kettle"));
            let more = futures_util::future::join_all(more).await;
            refused = more.into_iter().find(|answer| answer.status == 429);
        }
        let refused = refused.unwrap();
        refused.assert_problem(429, "too-many-requests");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"searches\";q=300;w=60"));
        let plain = search(&client, "203.0.113.7", "/products").await;
        assert_eq!(plain.status, 200);
        assert!(plain.header("ratelimit-policy").unwrap().starts_with("\"reads\""));
        // All networks of one IPv6 /48 share a limit.
        let site = (0..40).map(|number| {
            let network = format!("2001:db8:7:{number:x}::1");
            let client = &client;
            async move { search(client, &network, EXPENSIVE[0]).await.status }
        });
        for status in futures_util::future::join_all(site).await {
            assert!(matches!(status, 200 | 503), "{status}");
        }
    }
}
