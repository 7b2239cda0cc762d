//! The changes that commands make.

use std::{collections::BTreeSet, fs, iter};

use http::Method;
use serde_json::{Value, json};

use super::entries;
use crate::support::{
    Client, Form, TestShop,
    images::png,
    provider::{event, with},
    run, storage_test,
};

/// The commands below `shop admin` that change nothing.
const READ_ONLY: [&str; 17] = [
    "audit",
    "category list",
    "collection list",
    "collection show",
    "jobs list",
    "mail list",
    "mail show",
    "order list",
    "order show",
    "payments list",
    "product export",
    "product list",
    "product show",
    "product variant list",
    "product variant show",
    "user list",
    "user show",
];

/// Returns all commands below `shop admin`, from their help.
fn commands() -> BTreeSet<String> {
    let here = tempfile::tempdir().unwrap();
    let listed = |path: &str| -> Vec<String> {
        let path = path.split_whitespace();
        let arguments: Vec<&str> = iter::once("admin").chain(path).chain(["--help"]).collect();
        let help = String::from_utf8(run(here.path(), &arguments).stdout).unwrap();
        let (_, rest) = help.split_once("Commands:\n").unwrap_or_default();
        let lines = rest.lines().take_while(|line| !line.is_empty());
        let names = lines.filter_map(|line| {
            let is_name = line.starts_with("  ") && !line.starts_with("   ");
            is_name.then(|| line.split_whitespace().next().unwrap().to_owned())
        });
        names.filter(|name| name != "help").collect()
    };
    let mut found = BTreeSet::new();
    let mut groups = listed("");
    while let Some(name) = groups.pop() {
        let inner = listed(&name);
        if inner.is_empty() {
            found.insert(name);
        } else {
            groups.extend(inner.iter().map(|inner| format!("{name} {inner}")));
        }
    }
    found
}

/// Runs commands and checks the entry of each.
struct Recorder<'a> {
    shop: &'a TestShop,
    admin: &'a Client<'a>,
    commands: BTreeSet<String>,
}

impl Recorder<'_> {
    /// Runs a command, which must leave exactly one entry. Returns its output and the entry.
    async fn run(&mut self, command: &str, arguments: &[&str], action: &str) -> (Value, Value) {
        let before = entries(self.admin).await.len();
        let words: Vec<&str> = ["admin"].into_iter().chain(command.split(' ')).collect();
        let output = self.shop.run(&[&words, arguments, &["--json"]].concat());
        assert!(output.status.success(), "{command}: {output:?}");
        let all = entries(self.admin).await;
        assert_eq!(all.len(), before + 1, "{command}");
        let entry = all[0].clone();
        assert_eq!(entry["action"], action, "{command}");
        let actor = &entry["actor"];
        assert_eq!(
            (&actor["type"], &actor["id"]),
            (&json!("CLI"), &Value::Null),
            "{command}"
        );
        assert!(!actor["name"].as_str().unwrap().is_empty(), "{command}");
        assert_eq!(
            (&entry["requestId"], &entry["address"]),
            (&Value::Null, &Value::Null)
        );
        self.commands.insert(command.to_owned());
        (serde_json::from_slice(&output.stdout).unwrap(), entry)
    }
}

/// Returns the id of an unmatched payment.
async fn unmatched_payment(shop: &TestShop, admin: &Client<'_>, order: &Value) -> String {
    let part = with(
        event("payment.captured", order, "pay_part"),
        "amount",
        json!(1),
    );
    let delivered = shop.deliver(part.to_string().as_bytes(), "ev_part").await;
    assert_eq!(delivered.status, 200, "{delivered:?}");
    let listed = admin.get("/admin/payments?status=unmatched").await;
    listed.text("/data/0/id")
}

storage_test! {
    async fn every_command_that_writes_leaves_an_entry(shop: TestShop) {
        let admin = shop.admin().await;
        let mut log = Recorder { shop: &shop, admin: &admin, commands: BTreeSet::new() };

        let new = ["--email", "eve@example.com", "--name", "Eve"];
        let (user, created) = log.run("user add", &new, "user.create").await;
        assert_eq!(created["target"]["id"], user["id"]);
        let mail = ["eve@example.com"];
        log.run("user role", &["eve@example.com", "ADMIN"], "user.role").await;
        log.run("user disable", &mail, "user.disable").await;
        log.run("user enable", &mail, "user.enable").await;
        log.run("user logout", &mail, "user.logout").await;
        let (reset, entry) = log.run("user reset-password", &mail, "user.reset-password").await;
        assert_eq!(entry["changes"], json!([]), "only that it happened");
        let tokens = [&user, &reset].map(|it| {
            let link = it["link"].as_str().unwrap();
            link.split_once("token=").unwrap().1.to_owned()
        });

        log.run("category add", &["Kitchen"], "category.create").await;
        log.run("category rename", &["Kitchen", "Bath"], "category.update").await;
        log.run("category delete", &["Bath"], "category.delete").await;
        log.run("collection add", &["Summer"], "collection.create").await;
        log.run("collection edit", &["summer", "--name", "Sun"], "collection.update").await;
        log.run("collection delete", &["summer"], "collection.delete").await;
        let new = ["--name", "Kettle", "--price", "129900", "--stock", "9"];
        let (product, _) = log.run("product add", &new, "product.create").await;
        let product = product["id"].as_str().unwrap();
        log.run("product edit", &[product, "--price", "119900"], "product.update").await;
        log.run("product variant edit", &[product, "--sku", "KET"], "variant.update").await;
        let stock = [product, "3", "--reason", "found"];
        log.run("product stock", &stock, "product.adjust-stock").await;
        let shirt = shop.product_with_options("T-shirt", &[("Size", &["S", "M"])], (2_000, 3)).await;
        let shirt = shirt["id"].as_str().unwrap();
        log.run("product options", &[shirt, "--option", "Size=S,M,L"], "product.update").await;
        let new = [shirt, "--option", "Size=L", "--price", "2500"];
        let (large, _) = log.run("product variant add", &new, "variant.create").await;
        let large = large["id"].as_str().unwrap();
        let stock = [large, "2", "--reason", "delivery"];
        log.run("product variant stock", &stock, "variant.adjust-stock").await;
        log.run("product variant delete", &[large], "variant.delete").await;
        let file = shop.directory.path().join("new.csv");
        fs::write(&file, "name,price,category\nCup,100,Tea\nPlate,200,Dinner\n").unwrap();
        let file = file.to_str().unwrap();
        let (_, entry) = log.run("product import", &[file], "catalog.import").await;
        let changes = entry["changes"].as_array().unwrap();
        let value = |field: &str| {
            let found = changes.iter().find(|change| change["field"] == field);
            found.unwrap_or_else(|| panic!("{field}: {entry}"))["to"].clone()
        };
        assert_eq!((value("created"), value("categories")), (json!(2), json!(2)));
        assert_eq!(value("sha256").as_str().unwrap().len(), 64);

        let ada = shop.customer("ada").await;
        let order = ada.place_order(product, 1).await;
        let unpaid = ada.place_order(product, 1).await;
        shop.capture(&order).await;
        let id = order["id"].as_str().unwrap();
        log.run("order status", &[id, "SHIPPED"], "order.status").await;
        log.run("order refund", &[id, "--amount", "100"], "order.refund").await;
        let pay = [unpaid["id"].as_str().unwrap(), "--lose"];
        log.run("pay", &pay, "order.simulate-payment").await;
        log.run("payments reconcile", &[], "payment.reconcile").await;
        let other = ada.place_order(product, 1).await;
        let payment = unmatched_payment(&shop, &admin, &other).await;
        log.run("payments resolve", &[&payment, "--note", "paid out"], "payment.resolve").await;

        let raw = shop.raw_db();
        let job = |kind: &str| {
            let jobs = shop.run(&["admin", "jobs", "list", "--json"]);
            let jobs: Vec<Value> = serde_json::from_slice(&jobs.stdout).unwrap();
            let found = jobs.iter().find(|job| job["kind"] == kind);
            found.unwrap_or_else(|| panic!("{kind}: {jobs:?}"))["id"].as_str().unwrap().to_owned()
        };
        let email = job("send-mail");
        log.run("mail retry", &[&email], "mail.retry").await;
        raw.run("UPDATE jobs SET state = 'dead' WHERE kind = 'send-mail'");
        log.run("mail drop", &[&email], "mail.drop").await;
        let form = Form::default().text("name", "Jug").text("price", "1").image(&png());
        let jug = admin.upload(Method::POST, "/products", &[], form).await;
        let gone = admin.delete(&format!("/products/{}", jug.text("/id"))).await;
        assert_eq!(gone.status, 204, "{gone:?}");
        let image = job("delete-image");
        log.run("jobs retry", &[&image], "job.retry").await;
        raw.run("UPDATE jobs SET state = 'dead' WHERE kind = 'delete-image'");
        log.run("jobs drop", &[&image], "job.drop").await;
        log.run("product delete", &[product], "product.delete").await;
        log.run("seed", &["--products", "3", "--customers", "2"], "shop.seed").await;

        let read_only = READ_ONLY.map(str::to_owned);
        let known: BTreeSet<_> = log.commands.iter().cloned().chain(read_only).collect();
        assert_eq!(known, commands(), "run the new command here, or list it as read-only");

        let dump = format!("{:?}", raw.rows("SELECT * FROM audit"));
        for secret in &tokens {
            assert!(!dump.contains(secret), "a token is in the log");
        }
        assert!(!dump.contains("argon2"), "a password is in the log");
        let verified = shop.run(&["admin", "audit", "--verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }

    async fn a_repair_leaves_an_entry(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product("Kettle", 129_900, 5).await;
        assert_eq!(shop.run(&["verify", "--repair"]).status.code(), Some(0));
        let before = entries(&admin).await;
        shop.raw_db().run("UPDATE products SET stock = 7");
        assert_eq!(shop.run(&["verify", "--repair"]).status.code(), Some(0));
        let after = entries(&admin).await;
        assert_eq!(after.len(), before.len() + 1);
        assert_eq!(after[0]["action"], "catalog.repair");
        assert_eq!(after[0]["actor"]["type"], "CLI");
        let expected = json!([{ "field": "stock-movements", "from": null, "to": 1 }]);
        assert_eq!(after[0]["changes"], expected);
        assert_eq!(shop.stock(&product).await, 7);
    }

    async fn the_command_lists_pages(shop: TestShop) {
        let admin = shop.admin().await;
        for number in 0..3 {
            shop.product(&format!("Cup {number}"), 100, 5).await;
        }
        let listed = |arguments: &[&str]| -> Value {
            let output = shop.run(&[&["admin", "audit", "--json"], arguments].concat());
            assert!(output.status.success(), "{output:?}");
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let all = entries(&admin).await;
        assert_eq!(all.len(), 4);
        assert_eq!(listed(&[]), json!(all));
        assert_eq!(listed(&["--limit", "3"]), json!(all[..3]));
        assert_eq!(listed(&["--limit", "3", "--page", "2"]), json!(all[3..]));
        assert_eq!(listed(&["--page", "9"]), json!([]));
        let table = shop.run(&["admin", "audit", "--limit", "3"]);
        let text = String::from_utf8(table.stdout).unwrap();
        assert!(text.contains("USER admin") && text.contains("product.create"), "{text}");
        let message = String::from_utf8(table.stderr).unwrap();
        assert_eq!(message, "this is page 1 of 2; use `--page 2` for the next one\n");
        let both = shop.run(&["admin", "audit", "--verify", "--page", "2"]);
        assert_eq!(both.status.code(), Some(2), "{both:?}");
    }
}
