//! Text normalization: the same in search, sorting and uniqueness, on every engine, and after an upgrade.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    time::Duration,
};

use serde_json::json;
use shop::{
    core::money::{Price, Stock},
    domain::catalog::{Description, NewProduct, ProductName, create_all, normalize},
};

use super::{category, lists::names};
use crate::support::{TestResponse, TestShop, postgres_test, program_on, serve, storage_test};

/// Names, and a search text for each.
const SPELLINGS: &[(&str, &str)] = &[
    ("Straße Schild", "strasse"),
    ("Strassenkarte", "straße"),
    ("STRASSENFEGER", "Straßenfeger"),
    ("ΚΑΦΕΣ Φίλτρου", "καφές"),
    ("Κούπα για καφές", "ΚΑΦΕΣ"),
    ("ΟΔΟΣ Πινακίδα", "οδός"),
    ("Smørrebrød Board", "smorrebrod"),
    ("Smorrebrod Knife", "smørrebrød"),
    ("Łódź Poster", "lodz"),
    ("Lodz Mug", "łódź"),
    ("Œuvre Book", "oeuvre"),
    ("Oeuvre Print", "œuvre"),
    ("Þórr Hammer", "thorr"),
    ("Diyarbakır Rug", "DIYARBAKIR"),
    ("ŉ Boek", "'N"),
    ("ﬁne ﬂask", "Fine Flask"),
    ("ℌolly Tea", "holly"),
    ("O'Neill Wetsuit", "oneill"),
    ("O’Neill Hat", "o'neill"),
    ("O´Neill Shorts", "oneill"),
    ("Oneill Cap", "o'neill"),
    ("Women's T-Shirt", "tshirt"),
    ("Women's T-Shirt", "womens"),
    ("Tshirt Plain", "t-shirt"),
    ("USB-C Hub", "usbc"),
    ("USBC Plug", "usb-c"),
    ("Wi‑Fi Router", "wifi"),
    ("WiFi Stick", "wi-fi"),
    ("AB-1234/5 Filter", "ab12345"),
    ("AB-1234/5 Filter", "ab1234"),
    ("CD67890 Filter", "cd-6789/0"),
    ("Bit 3.5 mm", "3.5"),
    ("AT&T Phone", "att"),
    ("Kopf\u{ad}hörer Pro", "kopfhörer"),
    ("Kopfhörer Basic", "kopf\u{ad}hörer"),
    ("東京タワー模型", "タワー"),
    ("タワーラック", "タワー"),
    ("東京タワー模型", "型"),
    ("コーヒー・メーカー", "コーヒーメーカー"),
    ("コーヒーカップ", "コーヒー・カップ"),
    ("ﾜｲﾔﾚｽ充電器", "ワイヤレス"),
    ("无线蓝牙耳机", "耳机"),
    ("무선이어폰", "이어폰"),
    ("กาแฟคั่วบด", "คั่ว"),
    ("می\u{200c}خواهم Print", "میخواهم"),
];

fn list_path(query: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(query)
        .finish();
    format!("/products?{query}")
}

/// Creates a product that is newer than all others.
async fn create(shop: &TestShop, name: &str, price: i64) {
    shop.advance_clock(Duration::from_millis(1));
    let body = json!({ "name": name, "price": price, "stockQuantity": price % 2 });
    let created = shop.admin().await.post("/products", body).await;
    assert_eq!(created.status, 201, "{name}: {created:?}");
}

/// Returns the names of a whole list, read by cursor.
async fn all_by_cursor(shop: &TestShop, query: &[(&str, &str)]) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = [query, &[("cursor", cursor.as_str())]].concat();
        let answer = shop.anonymous().get(&list_path(&query)).await;
        all.extend(names(&answer));
        match answer.json()["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

storage_test! {
    async fn every_spelling_finds_its_product(shop: TestShop) {
        let all: BTreeSet<&str> = SPELLINGS.iter().map(|(name, _)| *name).collect();
        for name in &all {
            create(&shop, name, 100).await;
        }
        let mut missing = Vec::new();
        for (name, q) in SPELLINGS {
            let name = name.replace('\u{ad}', "");
            let answer = shop.anonymous().get(&list_path(&[("q", q), ("limit", "100")])).await;
            let found = names(&answer);
            assert_eq!(answer.number("/total"), i64::try_from(found.len()).unwrap(), "{q}");
            if !found.contains(&name) {
                missing.push(format!("{q}: no {name} in {found:?}"));
            }
            // Pages and other sort orders return the same products.
            let mut paged = Vec::new();
            for page in 1..=found.len().div_ceil(5) {
                let query = [("q", *q), ("limit", "5"), ("page", &page.to_string())];
                paged.extend(names(&shop.anonymous().get(&list_path(&query)).await));
            }
            assert_eq!(paged, found, "{q}");
            let found: BTreeSet<String> = found.into_iter().collect();
            for sort in ["name", "-createdAt"] {
                let list = all_by_cursor(&shop, &[("q", q), ("limit", "3"), ("sort", sort)]).await;
                assert_eq!(list.len(), found.len(), "{q} by {sort}: {list:?}");
                assert_eq!(list.into_iter().collect::<BTreeSet<_>>(), found, "{q} by {sort}");
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }

    async fn similar_products_follow_the_matches(shop: TestShop) {
        let exact: Vec<String> = (1..=7).map(|number| format!("Kettel {number:02}")).collect();
        let similar: Vec<String> = (1..=25).map(|number| format!("Kettle {number:02}")).collect();
        for (price, name) in (1..).zip(similar.iter().chain(&exact)) {
            create(&shop, name, price).await;
        }
        create(&shop, "Copper Kettle", 5).await;
        create(&shop, "Drum", 5).await;
        // The maximum number of similar products, by relevance.
        let expected = [&exact[..], &similar[..20]].concat();
        let answer = shop.anonymous().get(&list_path(&[("q", "kettel"), ("limit", "100")])).await;
        assert_eq!(answer.number("/total"), 27);
        assert_eq!(names(&answer), expected);
        for limit in [1, 3, 7, 10, 26, 27] {
            let mut paged = Vec::new();
            for page in 1..=27 / limit + 1 {
                let query = [("q", "kettel"), ("limit", &limit.to_string()), ("page", &page.to_string())];
                let answer = shop.anonymous().get(&list_path(&query)).await;
                assert_eq!(answer.number("/total"), 27);
                paged.extend(names(&answer));
            }
            assert_eq!(paged, expected, "{limit} on a page");
        }
        let (mut last, mut last_similar) = (exact.clone(), similar[..20].to_vec());
        last.reverse();
        last_similar.reverse();
        let reversed = [last, last_similar].concat();
        for (sort, expected) in [("price", &expected), ("name", &expected), ("-price", &reversed), ("-createdAt", &reversed)] {
            let query = [("q", "kettel"), ("sort", sort), ("limit", "100")];
            assert_eq!(names(&shop.anonymous().get(&list_path(&query)).await), *expected, "by {sort}");
            for limit in ["1", "6", "7", "8", "20", "27"] {
                let query = [("q", "kettel"), ("sort", sort), ("limit", limit)];
                assert_eq!(all_by_cursor(&shop, &query).await, *expected, "by {sort}, {limit} at a time");
            }
        }
        // Filters apply to similar products, too.
        let odd = |names: &[String]| names.iter().step_by(2).cloned().collect::<Vec<_>>();
        let in_stock = shop.anonymous().get(&list_path(&[("q", "kettel"), ("inStock", "true"), ("limit", "100")])).await;
        let expected = [&exact.iter().skip(1).step_by(2).cloned().collect::<Vec<_>>()[..], &odd(&similar)[..]].concat();
        let expected = [&expected[..], &["Copper Kettle".to_owned()]].concat();
        assert_eq!((names(&in_stock), in_stock.number("/total")), (expected.clone(), i64::try_from(expected.len()).unwrap()));
        let cheap = shop.anonymous().get(&list_path(&[("q", "kettel"), ("maxPrice", "3")])).await;
        assert_eq!(names(&cheap), similar[..3]);
        let (kitchen, admin) = (category(&shop, "Kitchen").await, shop.admin().await);
        let all = shop.anonymous().get(&list_path(&[("q", "kettel"), ("limit", "100")])).await.json();
        for at in [0, 7, 9] {
            let path = format!("/products/{}", all["data"][at]["id"].as_str().unwrap());
            assert_eq!(admin.patch(&path, json!({ "categoryId": kitchen })).await.status, 200);
        }
        let query = [("q", "kettel"), ("category", kitchen.as_str())];
        let answer = shop.anonymous().get(&list_path(&query)).await;
        assert_eq!((answer.number("/total"), names(&answer)), (3, ["Kettel 01", "Kettle 01", "Kettle 03"].map(str::to_owned).to_vec()));
        let query = [&query[..], &[("sort", "-price"), ("limit", "1")]].concat();
        assert_eq!(all_by_cursor(&shop, &query).await, ["Kettel 01", "Kettle 03", "Kettle 01"]);
        // With enough matches there are no similar products.
        for number in 8..=20 {
            create(&shop, &format!("Kettel {number:02}"), 100).await;
        }
        let answer = shop.anonymous().get(&list_path(&[("q", "kettel"), ("limit", "100")])).await;
        assert_eq!(answer.number("/total"), 20);
        assert!(names(&answer).iter().all(|name| name.starts_with("Kettel")));
        assert_eq!(all_by_cursor(&shop, &[("q", "kettel"), ("sort", "price"), ("limit", "6")]).await.len(), 20);
    }

    async fn category_names_are_unique_in_normalized_form(shop: TestShop) {
        let admin = shop.admin().await;
        let strasse = category(&shop, "Straße").await;
        category(&shop, "Smørrebrød").await;
        category(&shop, "ΟΔΟΣ").await;
        for same in ["STRASSE", "strasse", "STRAẞE", "Stra\u{200b}ße", "smorrebrod", "οδός", "οδοσ"] {
            let refused = admin.post("/categories", json!({ "name": same })).await;
            refused.assert_problem(409, "category-exists");
        }
        let path = format!("/categories/{strasse}");
        assert_eq!(admin.patch(&path, json!({ "name": "STRASSE" })).await.text("/name"), "STRASSE");
        admin.patch(&path, json!({ "name": "Smorrebrod" })).await.assert_problem(409, "category-exists");
    }

    async fn names_have_no_invisible_characters(shop: TestShop) {
        let admin = shop.admin().await;
        let post = async |name: &str| -> [TestResponse; 3] {
            let account = json!({
                "name": name, "email": format!("{}@example.com", shop.app.rng.uuid(shop.app.clock.now())),
                "password": "correct horse battery",
            });
            [
                admin.post("/products", json!({ "name": name, "price": 100 })).await,
                admin.post("/categories", json!({ "name": name })).await,
                shop.anonymous().post("/auth/register", account).await,
            ]
        };
        for refused in [
            "", " ", "\u{200b}", "\u{200d}", "\u{ad}\u{feff}", "\u{3164}", "\u{115f}", "\u{2800}", "\u{fe0f}",
            "\u{e0041}\u{e0042}", "Tea\u{202e}", "\u{2066}Tea", "Tea\u{2028}Pot", "Tea\u{0}",
        ] {
            for answer in post(refused).await {
                answer.assert_problem(422, "validation-failed");
                assert_eq!(answer.invalid_fields(), ["name"], "{refused:?}");
            }
        }
        for (typed, kept) in [
            ("Te\u{200b}a \u{ad}", "Tea"),
            ("\u{feff}Pot\u{200e}", "Pot"),
            ("L\u{200d}i\u{200c}d", "Lid"),
            ("Cup\u{e0041}", "Cup"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("क्\u{200d}ष", "क्\u{200d}ष"),
            ("👩\u{200d}🚀 ❤\u{fe0f}", "👩\u{200d}🚀 ❤\u{fe0f}"),
        ] {
            let [product, category, account] = post(typed).await;
            for (answer, at) in [(product, "/name"), (category, "/name"), (account, "/user/name")] {
                assert_eq!(answer.status, 201, "{typed:?}: {answer:?}");
                assert_eq!(answer.text(at), kept);
            }
        }
    }

    async fn an_upgrade_rewrites_normalized_texts(shop: TestShop) {
        for name in ["Straße Schild", "Łódź Poster", "Zebra Print", "Øl Cup"] {
            create(&shop, name, 100).await;
        }
        let first = category(&shop, "Straße").await;
        shop.advance_clock(Duration::from_millis(1));
        let second = category(&shop, "Gasse").await;
        let cup = shop.product("Cup", 100, 1).await;
        shop.admin().await.patch(&format!("/variants/{cup}"), json!({ "sku": "GROSSE" })).await;
        let (strasse, gasse) = (format!("/categories/{first}"), format!("/categories/{second}"));
        // The data of an older version; only the last product has been rewritten.
        for old in [
            "UPDATE categories SET name_key = 'straße', slug = 'straße' WHERE name = 'Straße'",
            "UPDATE categories SET name = 'Strasse', name_key = 'strasse', slug = 'strasse' WHERE name = 'Gasse'",
            "UPDATE products SET name_key = 'straße schild', slug = 'straße-schild' WHERE name = 'Straße Schild'",
            "UPDATE products SET name_key = 'łodz poster', slug = 'łodz-poster' WHERE name = 'Łódź Poster'",
            "UPDATE product_search SET folding = 0, name_key = 'straße schild', name_words = 'straße schild',
                 words = 'straße schild' WHERE name_key = 'strasse schild'",
            "UPDATE product_search SET folding = 0, name_key = 'łodz poster', name_words = 'łodz poster',
                 words = 'łodz poster' WHERE name_key = 'lodz poster'",
            "UPDATE product_search SET folding = 1 WHERE name_key = 'zebra print'",
            "UPDATE settings SET value = '1' WHERE name = 'folding'",
            "UPDATE variants SET sku_key = 'GROSSE' WHERE sku = 'GROSSE'",
        ] {
            shop.raw_db().run(old);
        }
        let shop = shop.restarted().await;
        assert_eq!(shop.raw_db().text("SELECT sku_key FROM variants WHERE sku = 'GROSSE'"), "grosse");
        let found = async |q: &str| names(&shop.anonymous().get(&list_path(&[("q", q)])).await);
        for (q, name) in [("strasse", "Straße Schild"), ("lodz", "Łódź Poster"), ("zebra", "Zebra Print"), ("ol cup", "Øl Cup")] {
            assert_eq!(found(q).await, [name], "{q}");
        }
        let by_name = names(&shop.anonymous().get("/products?sort=name").await);
        assert_eq!(by_name, ["Cup", "Łódź Poster", "Øl Cup", "Straße Schild", "Zebra Print"]);
        let slugs = shop.anonymous().get("/products?sort=name").await.json();
        assert_eq!(slugs["data"][3]["slug"], "strasse-schild");
        let left = "SELECT count(*) FROM product_search WHERE folding <> 2";
        assert_eq!((shop.raw_db().number(left), shop.raw_db().text("SELECT value FROM settings WHERE name = 'folding'")), (0, "2".to_owned()));

        // Both categories keep their slugs, and no third can take an equal name.
        let admin = shop.admin().await;
        let listed = shop.anonymous().get("/categories").await.json();
        let listed: Vec<_> = listed["data"].as_array().unwrap().iter().map(|it| it["slug"].as_str().unwrap()).collect();
        assert_eq!(listed, ["straße", "strasse"]);
        admin.post("/categories", json!({ "name": "STRASSE" })).await.assert_problem(409, "category-exists");
        let output = shop.run(&["verify", "--json"]);
        assert_eq!(output.status.code(), Some(1));
        let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(findings[0]["check"], "category-name", "{findings}");
        assert_eq!(findings[0]["row"], format!("category {second}"));
        let message = findings[0]["says"].as_str().unwrap();
        assert!(message.contains("`Strasse`") && message.contains("`Straße`") && message.contains(&first), "{message}");
        // A CSV file refers to each by its exact spelling.
        let product = admin.post("/products", json!({ "name": "Sign", "price": 100, "categoryId": second })).await;
        let file = shop.directory.path().join("products.csv");
        let file = file.to_str().unwrap();
        for command in ["export", "import"] {
            let output = shop.run(&["admin", "product", command, file]);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        let sign = shop.anonymous().get(&format!("/products/{}", product.text("/id"))).await;
        assert_eq!(sign.text("/category/slug"), "strasse");
        assert_eq!(admin.delete(&format!("/products/{}", product.text("/id"))).await.status, 204);
        // When one is renamed or deleted, the other gets the plain key.
        assert_eq!(admin.patch(&gasse, json!({ "name": "STRASSE" })).await.text("/name"), "STRASSE");
        assert_eq!(admin.delete(&strasse).await.status, 204);
        admin.post("/categories", json!({ "name": "Straße" })).await.assert_problem(409, "category-exists");
        assert_eq!(shop.run(&["verify"]).status.code(), Some(0));
        assert_eq!(admin.patch(&gasse, json!({ "name": "Gasse" })).await.status, 200);
        assert_eq!(admin.post("/categories", json!({ "name": "Straße" })).await.status, 201);
    }

    async fn an_interrupted_upgrade_resumes_where_it_stopped(shop: TestShop) {
        seed_outdated(&shop, 4_000).await;
        shop.app.stopping.cancel();
        shop.app.db.close().await;
        let mut command = serve(program_on(shop.database.as_deref()), shop.directory.path(), &[]);
        command.env("SHOP_LOG", "info");
        let mut serving = command.spawn().unwrap();
        let lines = BufReader::new(serving.stderr.take().unwrap()).lines();
        let mut progress = lines.map_while(Result::ok).filter(|line| line.contains("updating the search index"));
        assert!(progress.next().unwrap().contains("total=4000"));
        serving.kill().unwrap();
        serving.wait().unwrap();
        let written = "SELECT count(*) FROM product_search WHERE folding = 2";
        let before = shop.raw_db().number(written);
        assert!((500..4_000).contains(&before), "{before}");
        assert_eq!(shop.raw_db().text("SELECT value FROM settings WHERE name = 'folding'"), "1");

        let output = shop.run(&["verify"]);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert!(log.contains(&format!("done={before}")) && log.contains("done=4000"), "{log}");
        assert_eq!(shop.raw_db().number(written), 4_000);
        let wrong = "SELECT count(*) FROM products WHERE name_key LIKE 'ø%'";
        assert_eq!(shop.raw_db().number(wrong), 0);
        assert_eq!(shop.run(&["verify"]).stderr, b"", "nothing is left to rewrite");
    }
}

postgres_test! {
    async fn concurrently_started_instances_share_the_upgrade(shop: TestShop) {
        seed_outdated(&shop, 2_000).await;
        let (one, other) = tokio::join!(shop.another_instance(), shop.another_instance());
        for shop in [one, other] {
            let answer = shop.anonymous().get("/products?q=ol&limit=1").await;
            assert_eq!(answer.number("/total"), 2_000);
            assert_eq!(shop.raw_db().number("SELECT count(*) FROM product_search WHERE folding <> 2"), 0);
        }
    }
}

/// Fills a catalog as an older normalization version wrote it.
async fn seed_outdated(shop: &TestShop, count: i64) {
    let new: Vec<_> = (1..=count)
        .map(|number| NewProduct {
            name: ProductName::try_from(format!("Øl {number:04}")).unwrap(),
            description: Description::try_from(String::new()).unwrap(),
            price: Price::try_from(100).unwrap(),
            stock: Stock::NONE,
            category: None,
        })
        .collect();
    let filled = shop
        .app
        .db
        .write("test.fill", move |tx| create_all(tx, &new).map(drop));
    filled.await.unwrap();
    for old in [
        "UPDATE products SET name_key = 'ø' || substr(name_key, 2)",
        "UPDATE product_search SET folding = 0, name_key = 'ø' || substr(name_key, 2),
             name_words = 'ø' || substr(name_words, 2), words = 'ø' || substr(words, 2)",
        "UPDATE settings SET value = '1' WHERE name = 'folding'",
    ] {
        shop.raw_db().run(old);
    }
}

#[test]
fn case_is_ignored_for_every_letter() {
    for letter in char::MIN..=char::MAX {
        let spellings = [
            letter.to_uppercase().to_string(),
            letter.to_lowercase().to_string(),
        ];
        if spellings[0] != spellings[1] {
            let normalized = normalize(&letter.to_string());
            assert_eq!(
                spellings.map(|spelling| normalize(&spelling)),
                [normalized.clone(), normalized.clone()],
                "{letter}"
            );
            assert_eq!(normalize(&normalized), normalized, "{letter}");
        }
    }
}
