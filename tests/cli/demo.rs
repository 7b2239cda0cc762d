//! `shop serve --demo`: the sample shop, its sign-in links, and what it refuses.

use std::collections::BTreeMap;

use http::Method;

use super::{
    configuration::shop,
    shop_not_found::{files_in, in_directory},
    *,
};
use crate::support::{ends, run_on, storage_test};

/// Returns what a demo printed after a label, e.g. the sign-in link of `admin`.
fn printed(demo: &Process, label: &str) -> String {
    let mut found = demo
        .printed
        .iter()
        .filter_map(|line| line.strip_prefix(label));
    let text = found
        .next()
        .unwrap_or_else(|| panic!("{label}: {:?}", demo.printed));
    assert_eq!(found.next(), None, "one line each");
    text.trim().to_owned()
}

/// Returns the token in a sign-in link.
fn token_in(demo: &Process, label: &str) -> String {
    let link = printed(demo, &format!("{label}  "));
    let token = link.strip_prefix(&format!("{}/#sign-in=", demo.url));
    token.unwrap_or_else(|| panic!("{link}")).to_owned()
}

/// Exchanges the token of a sign-in link, as the console does.
async fn exchange(demo: &Process, token: &str) -> TestResponse {
    let body = json!({ "token": token });
    let response = reqwest::Client::new()
        .post(format!("{}/demo/session", demo.url))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    TestResponse {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap(),
    }
}

async fn sign_in(demo: &Process, label: &str) -> Remote {
    let session = exchange(demo, &token_in(demo, label)).await;
    assert_eq!(session.status, 200, "{session:?}");
    assert_eq!(session.header("cache-control"), Some("no-store"));
    Remote::new(demo).with_token(session.text("/accessToken"))
}

/// Returns the password that a demo printed.
fn password(demo: &Process, name: &str) -> String {
    printed(demo, &format!("  {name}@example.com  "))
}

async fn log_in(demo: &Process, name: &str, password: &str) -> TestResponse {
    let body = json!({ "email": format!("{name}@example.com"), "password": password });
    Remote::new(demo).post("/auth/login", &body).await
}

/// Returns the `Access-Control-Allow-Origin` of the response to a page of this origin.
async fn allowed_origin(demo: &Process, method: Method, origin: &str) -> Option<String> {
    let response = reqwest::Client::new()
        .request(method, format!("{}/api/v1/products", demo.url))
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .send()
        .await
        .unwrap();
    let allowed = response.headers().get("access-control-allow-origin");
    allowed.map(|value| value.to_str().unwrap().to_owned())
}

/// Returns the status of a request for the WebSocket by a page of this origin. An allowed one lacks only the handshake.
async fn socket_status(demo: &Process, origin: &str) -> u16 {
    let url = format!("{}/api/v1/ws", demo.url);
    let request = reqwest::Client::new().get(url).header("origin", origin);
    request.send().await.unwrap().status().as_u16()
}

storage_test! {
    async fn a_demo_looks_like_a_shop(site: Site) {
        let directory = tempfile::tempdir().unwrap();
        let demo = site.start_demo(directory.path());
        let client = Remote::new(&demo);
        let page = client.get("/products?limit=100").await.json();
        let products = page["data"].as_array().unwrap();
        assert_eq!(products.len(), 25);
        let mut categories = BTreeMap::new();
        for product in products {
            let name = product["category"]["name"].as_str().unwrap();
            *categories.entry(name).or_insert(0) += 1;
            assert!(product["description"].as_str().unwrap().len() > 40, "{product}");
            assert_eq!(product["price"].as_i64().unwrap() % 100, 0, "whole rupees: {product}");
            let image = &product["images"][0];
            assert_eq!((&image["width"], &image["height"]), (&json!(800), &json!(800)), "{product}");
        }
        assert_eq!(categories.into_values().collect::<Vec<_>>(), [1, 4, 4, 4, 4, 4, 4]);
        let shirt = products.iter().find(|product| product["variantCount"] == 8).unwrap();
        let shirt = client.get(&format!("/products/{}", shirt["id"].as_str().unwrap())).await.json();
        let images = shirt["images"].as_array().unwrap();
        for (at, variant) in shirt["variants"].as_array().unwrap().iter().enumerate() {
            assert_eq!(variant["imageId"], images[at / 4]["id"], "{variant}");
            assert!(variant["sku"].as_str().unwrap().starts_with("T-SHIRT-"), "{variant}");
        }
        assert_eq!((images.len(), &shirt["variants"][5]["title"]), (2, &json!("Terracotta / M")));
        assert_eq!(client.get("/products?sku=kettle").await.json()["data"][0]["name"], "Stovetop Kettle");
        let with_stock = |stock: i64| products.iter().filter(move |it| it["stockQuantity"] == stock).count();
        assert_eq!((with_stock(0), with_stock(2)), (1, 1));
        let image = reqwest::get(products[0]["images"][0]["url"].as_str().unwrap()).await.unwrap();
        assert_eq!((image.status().as_u16(), &image.headers()["content-type"]), (200, &"image/webp".parse().unwrap()));

        let customer = sign_in(&demo, "customer").await;
        let mut statuses = strings(&customer.get("/orders").await.json()["data"], "status");
        statuses.sort();
        assert_eq!(statuses, ["DELIVERED", "PAID", "SHIPPED"]);
        let admin = sign_in(&demo, "admin").await;
        assert_eq!(admin.get("/admin/orders").await.json()["total"], 3);
        assert_eq!(customer.get("/admin/orders").await.status, 403);
        assert!(!directory.path().join("mail").exists(), "no mail went out");
        demo.kill();
        let verified = run_on(directory.path(), site.database.as_deref(), &["verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }

    async fn passwords_links_and_sessions_survive_a_restart(site: Site) {
        let directory = tempfile::tempdir().unwrap();
        let first = site.start_demo(directory.path());
        let customer = sign_in(&first, "customer").await;
        let secrets = ["admin", "customer"].map(|name| {
            (name, password(&first, name), token_in(&first, name))
        });
        for (name, password, _) in &secrets {
            assert_eq!(log_in(&first, name, password).await.status, 200, "{name}");
        }
        first.kill();

        let second = site.start_demo(directory.path());
        for (name, password, token) in &secrets {
            assert_eq!(log_in(&second, name, password).await.status, 200, "{name}");
            assert_eq!((self::password(&second, name), token_in(&second, name)), (password.clone(), token.clone()));
        }
        let customer = customer.at(&second);
        assert_eq!(customer.get("/me").await.status, 200, "the session survived");
        let (_, old, _) = &secrets[1];
        let change = json!({ "currentPassword": old, "newPassword": PASSWORD }).to_string();
        let json = [("content-type", "application/json")];
        let changed = customer.call(Method::PUT, "/me/password", &json, change).await.unwrap();
        assert!(changed.status < 300, "{changed:?}");
        second.kill();

        let third = site.start_demo(directory.path());
        assert!(password(&third, "customer").contains("changed"));
        assert_eq!(log_in(&third, "customer", PASSWORD).await.status, 200);
        assert_eq!(sign_in(&third, "customer").await.get("/me").await.status, 200);
    }

    async fn only_valid_links_sign_in(site: Site) {
        let directory = tempfile::tempdir().unwrap();
        let demo = site.start_demo(directory.path());
        let token = token_in(&demo, "customer");
        for wrong in ["", "00", "not hexadecimal", &token[1..], &format!("{token}00"), &"0".repeat(64)] {
            exchange(&demo, wrong).await.assert_problem(401, "invalid-credentials");
        }
        let other = tempfile::tempdir().unwrap();
        if site.database.is_none() {
            let other = site.start_demo(other.path());
            assert_ne!(token_in(&other, "customer"), token, "each demo has its own");
        }
        let disable = ["admin", "user", "disable", "customer@example.com"];
        let disabled = run_on(directory.path(), site.database.as_deref(), &disable);
        assert!(disabled.status.success(), "{disabled:?}");
        exchange(&demo, &token).await.assert_problem(401, "invalid-credentials");
        demo.kill();
        let demo = site.start_demo(directory.path());
        exchange(&demo, &token).await.assert_problem(401, "invalid-credentials");
    }
}

storage_test! {
    async fn a_demo_does_not_migrate_a_real_shop(earlier: EarlierShop) {
        for version in [5, 24] {
            earlier.migrate_to(version);
            let directory = match earlier.database() {
                None => earlier.path().to_owned(),
                Some(_) => earlier.path().join("demo"),
            };
            let mut command = earlier.program();
            command.args(["serve", "--demo", "--listen", "127.0.0.1:0", "--data-dir"]);
            command.arg(directory);
            let error = failure_of(&ends(command));
            assert!(error.contains("real shop"), "{error}");
            assert_eq!(i64::from(earlier.version()), i64::from(version));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_on_this_machine_may_call_the_api_of_a_demo() {
    let directory = tempfile::tempdir().unwrap();
    let demo = Process::start_demo(directory.path());
    for origin in [
        "http://localhost:3000",
        "http://localhost",
        "https://localhost:8443",
        "http://127.0.0.1:5173",
        "http://[::1]:3000",
    ] {
        for method in [Method::GET, Method::OPTIONS] {
            let allowed = allowed_origin(&demo, method, origin).await;
            assert_eq!(allowed.as_deref(), Some(origin));
        }
        assert_eq!(socket_status(&demo, origin).await, 400, "{origin}");
    }
    for origin in [
        "null",
        "https://evil.example",
        "http://localhost.evil.example",
        "http://evil.example:3000",
        "http://localhost@evil.example",
        "http://evil.example@localhost",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.2:3000",
        "file://localhost",
        "http://localhost/",
    ] {
        for method in [Method::GET, Method::OPTIONS] {
            assert_eq!(
                allowed_origin(&demo, method, origin).await,
                None,
                "{origin}"
            );
        }
        assert_eq!(socket_status(&demo, origin).await, 403, "{origin}");
    }
}

#[tokio::test]
async fn a_demo_has_a_name_and_is_no_shop_of_ones_own() {
    let here = tempfile::tempdir().unwrap();
    let serve = |arguments: &[&str]| {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut command = shop(here.path(), &arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Process::listening(command)
    };
    let demo = serve(&["--demo"]);
    let page = reqwest::get(format!("{}/verify-email", demo.url)).await;
    let page = page.unwrap().text().await.unwrap();
    assert!(page.contains("Demo shop"), "{page}");
    demo.kill();
    let mut server = serve(&[]);
    let warning = server
        .stderr_lines()
        .find(|line| line.contains("holds a demo"));
    assert!(warning.unwrap().contains("shop-data"));
}

#[test]
fn a_demo_refuses_a_directory_with_other_files() {
    let here = tempfile::tempdir().unwrap();
    let directory = here.path().join("shop-data");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("notes.txt"), "mine").unwrap();
    let before = files_in(here.path());
    let demo = ["serve", "--demo", "--listen", "127.0.0.1:0"];
    let error = failure_of(&ends(in_directory(here.path(), None, &demo)));
    for expected in ["shop-data", "notes.txt", "--data-dir"] {
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(files_in(here.path()), before);

    // The configuration may be there already.
    fs::remove_file(directory.join("notes.txt")).unwrap();
    fs::write(directory.join("shop.toml"), "name = \"Kettles\"\n").unwrap();
    let mut command = shop(here.path(), &demo);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Process::listening(command).kill();
    assert!(directory.join("demo").exists());
}
