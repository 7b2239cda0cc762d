//! Search results and their order, identical on every engine.

use serde_json::json;

use super::lists::names;
use crate::support::{Engine, TestShop, storage_test};

/// A realistic catalog: name, description, price, stock.
const CATALOG: &[(&str, &str, i64, i64)] = &[
    ("Kettle", "Boils a litre in three minutes.", 2_000, 5),
    (
        "Kettle Descaler",
        "For every kettle and coffee maker.",
        300,
        9,
    ),
    ("Copper Kettle", "Whistles. Hand-beaten copper.", 5_000, 1),
    (
        "Electric kettle, 1.7 l",
        "With a glass body and a steel lid.",
        2_500,
        0,
    ),
    (
        "Tea Pot",
        "Stoneware; keeps tea warm. Fits under a kettle.",
        1_500,
        4,
    ),
    ("Teapot Cosy", "Wool felt.", 700, 3),
    ("Green Tea, Darjeeling", "First flush, 100 g.", 450, 50),
    (
        "Masala Chai",
        "Black tea with cardamom and ginger.",
        350,
        40,
    ),
    ("Coffee Maker", "Drip coffee for eight cups.", 6_000, 2),
    ("Café Crème Beans", "Arabica, mild roast.", 900, 30),
    ("Crème brûlée torch", "With a gas cartridge.", 1_800, 6),
    ("Frying Pan", "Cast iron, 26 cm.", 3_200, 7),
    ("Pan, non-stick", "Aluminium, 20 cm.", 1_900, 0),
    ("Pancake Turner", "Olive wood.", 400, 12),
    ("Steel Ladle", "Stainless steel.", 350, 20),
    ("Stainless Steel Bowl", "Two litres.", 800, 8),
    (
        "Bowl of Olive Wood",
        "Every one is unlike the others.",
        2_400,
        3,
    ),
    ("Étagère", "Shelf of three boards.", 9_000, 1),
    ("Shelf, oak", "Oiled by hand.", 7_500, 2),
    ("Oak Stool", "Three legs.", 4_500, 5),
    ("T-Shirt", "Cotton, heavy.", 1_200, 100),
    ("Shirt, linen", "Breathes well.", 3_900, 15),
    ("Rucksack 30L", "Waxed cotton canvas.", 8_900, 4),
    ("Wool Socks", "Knitted. Two pairs.", 600, 60),
    ("Sockenwolle 4-fach", "Schurwolle, 100 g.", 550, 70),
    ("Straßenkarte Alpen", "Maßstab 1:200.000", 1_100, 10),
    ("Λευκό Ποτήρι", "Γυαλί", 500, 25),
    ("Белая чашка", "Фарфор", 650, 18),
    ("हिंदी शब्दकोश", "पचास हज़ार शब्द", 1_300, 11),
    ("हंद", "A word that only lacks its vowel signs.", 100, 1),
    ("東京タワー", "ペーパークラフト", 1_400, 6),
    ("100% Cotton Towel", "Soft; dries quickly.", 950, 33),
    ("C++ in Depth", "A book for programmers.", 2_700, 3),
    ("O'Reilly's Cookbook", "Not about cooking.", 2_900, 2),
    ("USB-C Cable 2m", "Braided.", 700, 80),
    ("Lamp \"Lux\"", "Brass and linen.", 6_400, 2),
    ("Garden Hose", "20 m, with a brass nozzle.", 3_300, 9),
    ("Hose Reel", "For a garden hose of 30 m.", 4_100, 3),
    ("Watering Can", "Zinc, five litres.", 2_200, 7),
    ("Can Opener", "Opens every tin.", 500, 22),
];

/// Search texts and the expected first results, in order. A trailing `!` means that there are no others.
const SEARCHES: &[(&str, &[&str])] = &[
    // Exact name, prefix of the name, words in the name, words in name and description.
    (
        "kettle",
        &[
            "Kettle",
            "Kettle Descaler",
            "Copper Kettle",
            "Electric kettle, 1.7 l",
            "Tea Pot",
            "!",
        ],
    ),
    ("KETTLE", &["Kettle", "Kettle Descaler", "Copper Kettle"]),
    ("  kettle  ", &["Kettle", "Kettle Descaler"]),
    (
        "kett",
        &[
            "Kettle",
            "Kettle Descaler",
            "Copper Kettle",
            "Electric kettle, 1.7 l",
            "Tea Pot",
            "!",
        ],
    ),
    ("kettle des", &["Kettle Descaler", "!"]),
    ("kettle copper", &["Copper Kettle", "!"]),
    ("copper kettle", &["Copper Kettle", "!"]),
    ("kettle steel", &["Electric kettle, 1.7 l", "!"]),
    ("tea pot", &["Tea Pot", "!"]),
    (
        "tea",
        &[
            "Tea Pot",
            "Teapot Cosy",
            "Green Tea, Darjeeling",
            "Masala Chai",
            "!",
        ],
    ),
    // Matches come first, similar spellings after them.
    (
        "teapot",
        &[
            "Teapot Cosy",
            "Tea Pot",
            "Green Tea, Darjeeling",
            "Masala Chai",
            "!",
        ],
    ),
    ("pot", &["Tea Pot", "!"]),
    (
        "pan",
        &["Pan, non-stick", "Pancake Turner", "Frying Pan", "!"],
    ),
    ("frying pan", &["Frying Pan", "!"]),
    ("pan frying", &["Frying Pan", "!"]),
    ("non-stick", &["Pan, non-stick", "!"]),
    ("non stick pan", &["Pan, non-stick", "!"]),
    ("stick non", &["Pan, non-stick", "!"]),
    ("coffee", &["Coffee Maker", "Kettle Descaler", "!"]),
    ("coffee maker", &["Coffee Maker", "Kettle Descaler", "!"]),
    (
        "steel",
        &[
            "Steel Ladle",
            "Stainless Steel Bowl",
            "Electric kettle, 1.7 l",
            "!",
        ],
    ),
    ("stainless", &["Stainless Steel Bowl", "Steel Ladle", "!"]),
    ("olive wood", &["Bowl of Olive Wood", "Pancake Turner", "!"]),
    ("bowl", &["Bowl of Olive Wood", "Stainless Steel Bowl", "!"]),
    ("garden hose", &["Garden Hose", "Hose Reel", "!"]),
    ("hose", &["Hose Reel", "Garden Hose", "!"]),
    ("can", &["Can Opener", "Watering Can", "Rucksack 30L", "!"]),
    ("brass", &["Garden Hose", "Lamp \"Lux\"", "!"]),
    ("linen", &["Shirt, linen", "Lamp \"Lux\"", "!"]),
    (
        "cotton",
        &["100% Cotton Towel", "Rucksack 30L", "T-Shirt", "!"],
    ),
    ("shirt", &["Shirt, linen", "T-Shirt", "!"]),
    ("t-shirt", &["T-Shirt"]),
    ("t shirt", &["T-Shirt"]),
    // Accents and case are ignored; combining marks of other scripts are not.
    ("creme", &["Crème brûlée torch", "Café Crème Beans", "!"]),
    ("CRÈME BRÛLÉE", &["Crème brûlée torch", "!"]),
    ("cafe\u{301}", &["Café Crème Beans", "!"]),
    ("etagere", &["Étagère", "!"]),
    ("ETAGERE", &["Étagère", "!"]),
    ("strassenkarte", &["Straßenkarte Alpen"]),
    ("λευκο", &["Λευκό Ποτήρι", "!"]),
    ("ΠΟΤΗΡΙ", &["Λευκό Ποτήρι", "!"]),
    ("БЕЛАЯ", &["Белая чашка", "!"]),
    ("हिंदी", &["हिंदी शब्दकोश", "!"]),
    ("हंद", &["हंद", "!"]),
    ("東京", &["東京タワー", "!"]),
    // Digits and punctuation.
    ("30l", &["Rucksack 30L", "!"]),
    (
        "100",
        &[
            "100% Cotton Towel",
            "Green Tea, Darjeeling",
            "Sockenwolle 4-fach",
            "!",
        ],
    ),
    ("100%", &["100% Cotton Towel"]),
    ("usb-c", &["USB-C Cable 2m", "!"]),
    ("usb c cable", &["USB-C Cable 2m", "!"]),
    ("c++", &["C++ in Depth"]),
    ("o'reilly", &["O'Reilly's Cookbook", "!"]),
    ("\"lux\"", &["Lamp \"Lux\"", "!"]),
    // Misspelt words find similar ones.
    (
        "kettel",
        &[
            "Kettle",
            "Kettle Descaler",
            "Copper Kettle",
            "Electric kettle, 1.7 l",
        ],
    ),
    ("cofee", &["Coffee Maker"]),
    ("rucksak", &["Rucksack 30L"]),
    ("stainles steal", &["Stainless Steel Bowl"]),
    ("darjeling tea", &["Green Tea, Darjeeling"]),
    ("copper ketle", &["Copper Kettle"]),
    ("wattering can", &["Watering Can"]),
    // No product has both words: the rarer one is used.
    ("descaler shirt", &["Kettle Descaler"]),
    // Nothing is similar.
    ("zzzzqqq", &["!"]),
    ("%", &["!"]),
    ("*", &["!"]),
    ("\"", &["!"]),
];

async fn seed_products(shop: &TestShop) {
    let admin = shop.admin().await;
    for (name, description, price, stock) in CATALOG {
        let body = json!({
            "name": name, "description": description, "price": price, "stockQuantity": stock,
        });
        let created = admin.post("/products", body).await;
        assert_eq!(created.status, 201, "{created:?}");
    }
}

fn search_path(q: &str) -> String {
    let q: String = form_urlencoded::byte_serialize(q.as_bytes()).collect();
    format!("/products?q={q}")
}

storage_test! {
    async fn the_best_matches_come_first(shop: TestShop) {
        seed_products(&shop).await;
        let mut wrong = Vec::new();
        for (q, expected) in SEARCHES {
            let answer = shop.anonymous().get(&search_path(q)).await;
            let found = names(&answer);
            let (expected, is_whole) = match expected {
                [rest @ .., "!"] => (rest, true),
                rest => (*rest, false),
            };
            let fits = found.len() >= expected.len()
                && found.iter().zip(expected).all(|(one, other)| one == other)
                && (!is_whole || found.len() == expected.len());
            if !fits {
                wrong.push(format!("{q}: {found:?}, not {expected:?}"));
            }
            assert_eq!(answer.number("/total"), i64::try_from(found.len()).unwrap());
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    async fn search_combines_with_every_filter_and_sort_order(shop: TestShop) {
        seed_products(&shop).await;
        let anonymous = shop.anonymous();
        for (query, expected) in [
            ("q=kettle&sort=price", vec!["Kettle Descaler", "Tea Pot", "Kettle", "Electric kettle, 1.7 l", "Copper Kettle"]),
            ("q=kettle&sort=-price&limit=2", vec!["Copper Kettle", "Electric kettle, 1.7 l"]),
            ("q=kettle&sort=name&page=2&limit=2", vec!["Kettle", "Kettle Descaler"]),
            ("q=kettle&inStock=false", vec!["Electric kettle, 1.7 l"]),
            ("q=kettle&minPrice=2000&maxPrice=3000", vec!["Kettle", "Electric kettle, 1.7 l"]),
            ("q=kettle&category=nowhere", vec![]),
            // The words match something, so that no similar products are searched.
            ("q=kettle&minPrice=900000", vec![]),
            ("q=kettle&page=2&limit=3", vec!["Electric kettle, 1.7 l", "Tea Pot"]),
            ("q=kettle&page=9", vec![]),
        ] {
            assert_eq!(names(&anonymous.get(&format!("/products?{query}")).await), expected, "{query}");
        }
        let blank = anonymous.get("/products?q=%20").await;
        assert_eq!(blank.json(), anonymous.get("/products").await.json(), "an empty parameter is ignored");
        for wrong in ["sort=relevance", &format!("q={}", "x".repeat(201)), "q=a&sort=best", "q=a&q=b"] {
            let refused = anonymous.get(&format!("/products?{wrong}")).await;
            refused.assert_problem(400, "invalid-query");
        }
    }

    async fn search_reflects_changes(shop: TestShop) {
        let admin = shop.admin().await;
        let body = json!({ "name": "Kettle", "description": "Steel", "price": 100 });
        let kettle = admin.post("/products", body).await.text("/id");
        let path = format!("/products/{kettle}");
        let found = async |q: &str| names(&shop.anonymous().get(&search_path(q)).await);
        assert_eq!(found("steel").await, ["Kettle"]);

        admin.patch(&path, json!({ "name": "Teapot" })).await;
        assert_eq!(found("teapot").await, ["Teapot"]);
        assert_eq!(found("steel").await, ["Teapot"]);
        admin.patch(&path, json!({ "description": "Copper" })).await;
        assert_eq!(found("copper").await, ["Teapot"]);
        assert!(found("steel").await.is_empty());
        admin.patch(&path, json!({ "price": 200 })).await;
        assert_eq!(found("copper").await, ["Teapot"]);
        assert_eq!(admin.delete(&path).await.status, 204);
        assert!(found("teapot").await.is_empty());
    }

    async fn matches_are_counted_correctly(shop: TestShop) {
        let admin = shop.admin().await;
        let total = async |q: &str| shop.anonymous().get(&format!("{}&limit=1", search_path(q))).await.number("/total");
        let create = async |name: &str| {
            let created = admin.post("/products", json!({ "name": name, "description": "Steel", "price": 100 })).await;
            format!("/products/{}", created.text("/id"))
        };
        let first = create("Jar").await;
        // The following products get numbers on both sides of a block boundary.
        if shop.engine == Engine::Sqlite {
            shop.raw_db().run("UPDATE products SET rowid = 65534; UPDATE product_search SET number = 65534; DELETE FROM postings");
        }
        let mut kettles = Vec::new();
        for name in ["Kettle", "Kettledrum", "Copper kettle", "Copper ketchup"] {
            kettles.push(create(name).await);
        }
        for (q, expected) in [
            ("kettle", 3), ("kettle kettledrum", 3), ("ket", 4), ("k", 4), ("steel kettle", 3), ("copper ket", 2),
            ("ket copper steel", 2), ("kettle ketchup", 1), ("kettel", 3),
        ] {
            assert_eq!(total(q).await, expected, "{q}");
        }
        admin.patch(&kettles[1], json!({ "name": "Drum", "description": "Steel drum" })).await;
        admin.patch(&kettles[2], json!({ "description": "Steel, whistles" })).await;
        for (q, expected) in [("kettle", 2), ("drum", 1), ("steel drum", 1), ("ket", 3), ("whistles", 1)] {
            assert_eq!(total(q).await, expected, "{q}");
        }
        assert_eq!(admin.delete(&kettles[2]).await.status, 204);
        for (q, expected) in [("kettle", 1), ("whistles", 0), ("copper", 1)] {
            assert_eq!(total(q).await, expected, "{q}");
        }
        let kitchen = admin.post("/categories", json!({ "name": "Kitchen" })).await.text("/id");
        let bath = admin.post("/categories", json!({ "name": "Bath" })).await.text("/id");
        let found = async |q: &str, category: &str| {
            let answer = shop.anonymous().get(&format!("{}&category={category}", search_path(q))).await;
            (answer.number("/total"), names(&answer))
        };
        for (path, category) in [(&kettles[0], &kitchen), (&kettles[1], &bath), (&kettles[3], &kitchen)] {
            assert_eq!(admin.patch(path, json!({ "categoryId": category })).await.status, 200);
        }
        let two = (2, vec!["Copper ketchup".to_owned(), "Kettle".to_owned()]);
        assert_eq!(found("steel", &kitchen).await, two);
        assert_eq!(found("steel", &bath).await, (1, vec!["Drum".to_owned()]));
        assert_eq!(found("drum", &kitchen).await, (0, vec![]));
        admin.patch(&kettles[1], json!({ "categoryId": kitchen })).await;
        admin.patch(&kettles[0], json!({ "categoryId": null })).await;
        assert_eq!(found("steel", &kitchen).await, (2, vec!["Copper ketchup".to_owned(), "Drum".to_owned()]));
        assert_eq!(found("steel", &bath).await, (0, vec![]));
        assert_eq!(total("kettle").await, 1, "including one without a category");
        for path in [&first, &kettles[0], &kettles[1], &kettles[3]] {
            assert_eq!(admin.delete(path).await.status, 204);
        }
        assert!(shop.raw_db().rows("SELECT word FROM postings").is_empty(), "no empty bitmaps remain");
    }

    async fn matches_are_filtered_by_price_and_stock(shop: TestShop) {
        let admin = shop.admin().await;
        let mut prices = vec![1, 999, 1_000, 1_001, 1_099, 9_876, 12_345, 65_536, 99_999_999_999, 100_000_000_000];
        let mut pots = Vec::new();
        for price in &prices {
            let body = json!({ "name": format!("Pot {price:012}"), "price": price, "stockQuantity": 1 });
            pots.push(admin.post("/products", body).await.text("/id"));
        }
        let found = async |query: &str| {
            let answer = shop.anonymous().get(&format!("/products?q=pot&{query}")).await;
            let names = names(&answer);
            assert_eq!(answer.number("/total"), i64::try_from(names.len()).unwrap(), "{query}");
            names
        };
        let limits = [
            0, 1, 2, 998, 999, 1_000, 1_001, 1_002, 1_100, 9_876, 12_344, 12_346, 65_536, 99_999_999_998,
            100_000_000_000, i64::MAX,
        ];
        let named = |prices: &[i64], least: i64, most: i64| -> Vec<String> {
            let fits = prices.iter().filter(|price| (least..=most).contains(price));
            fits.map(|price| format!("Pot {price:012}")).collect()
        };
        for least in limits {
            assert_eq!(found(&format!("minPrice={least}")).await, named(&prices, least, i64::MAX), "from {least}");
            assert_eq!(found(&format!("maxPrice={least}")).await, named(&prices, 0, least), "up to {least}");
            for most in limits.into_iter().filter(|most| *most >= least) {
                let query = format!("minPrice={least}&maxPrice={most}&sort=name");
                assert_eq!(found(&query).await, named(&prices, least, most), "{query}");
            }
        }
        admin.patch(&format!("/products/{}", pots[1]), json!({ "price": 1_000 })).await;
        assert_eq!(found("minPrice=1000&maxPrice=1000").await, ["Pot 000000000999", "Pot 000000001000"]);
        prices.remove(1);

        let ada = shop.customer("ada").await;
        let order = ada.place_order(&pots[0], 1).await;
        assert_eq!(found("inStock=false").await, ["Pot 000000000001"]);
        assert_eq!(found("inStock=true&maxPrice=1000").await, ["Pot 000000000999", "Pot 000000001000"]);
        let order = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
        assert_eq!(ada.post(&order, json!(null)).await.status, 200);
        assert!(found("inStock=false").await.is_empty());
        for (delta, expected) in [(-1, 1), (2, 0), (-1, 0), (-1, 1), (1, 0)] {
            let body = json!({ "delta": delta, "reason": "counted" });
            assert_eq!(admin.post(&format!("/admin/products/{}/stock", pots[2]), body).await.status, 200);
            assert_eq!(found("inStock=false").await.len(), expected, "{delta}");
        }
        ada.place_order(&pots[3], 1).await;
        assert_eq!(found("inStock=false&minPrice=1001").await, ["Pot 000000001001"]);
        admin.delete(&format!("/products/{}", pots[3])).await;
        assert!(found("inStock=false").await.is_empty());
    }

    async fn many_matches_are_filtered_like_few(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "off")]).await;
        let all: Vec<String> = (1..=5_300).map(|number| format!("Lamp {number:04}")).collect();
        let new: Vec<_> = (1..).zip(&all).map(|(price, name)| shop::domain::catalog::NewProduct {
            name: shop::domain::catalog::ProductName::try_from(name.clone()).unwrap(),
            description: shop::domain::catalog::Description::try_from("Gives light".to_owned()).unwrap(),
            price: shop::core::money::Price::try_from(price).unwrap(),
            stock: shop::core::money::Stock::try_from(i64::from(price > 200)).unwrap(),
            category: None,
        }).collect();
        let filled = shop.app.db.write("test.fill", move |tx| shop::domain::catalog::create_all(tx, &new).map(drop));
        filled.await.unwrap();
        for (query, from) in [("minPrice=100", 100), ("minPrice=250", 250), ("inStock=true", 201), ("minPrice=5000", 5_000)] {
            let expected = &all[from - 1..];
            for q in ["lamp", "light"] {
                for sort in ["relevance", "name", "price"] {
                    for page in [1, expected.len().div_ceil(100)] {
                        let path = format!("/products?q={q}&{query}&sort={sort}&limit=100&page={page}");
                        let answer = shop.anonymous().get(&path).await;
                        assert_eq!(answer.number("/total"), i64::try_from(expected.len()).unwrap(), "{path}");
                        assert_eq!(names(&answer), expected[(page - 1) * 100..].iter().take(100).cloned().collect::<Vec<_>>(), "{path}");
                    }
                }
            }
        }
    }

    async fn many_matches_are_ranked_like_few(shop: TestShop) {
        // Many matches are scanned in index order instead of sorted: the result must be the same.
        let few = shop;
        let many = few.with_settings(&[("rate_limit", "off")]).await;
        let kinds = ["Lamp", "Lampshade", "Brass Lamp", "Desk", "Lamp of Brass"];
        for (shop, count) in [(&few, 40), (&many, 1100)] {
            let filled = shop.app.db.write("test.fill", move |tx| {
                for number in 0..count {
                    let name = format!("{} {:04}", kinds[number % 5], number / 5);
                    let description = if number % 5 == 3 { "Comes with a lamp" } else { "" };
                    let new = shop::domain::catalog::NewProduct {
                        name: shop::domain::catalog::ProductName::try_from(name).unwrap(),
                        description: shop::domain::catalog::Description::try_from(description.to_owned()).unwrap(),
                        price: shop::core::money::Price::try_from(100).unwrap(),
                        stock: shop::core::money::Stock::NONE,
                        category: None,
                    };
                    shop::domain::catalog::create(tx, &new, &[])?;
                }
                Ok(())
            });
            filled.await.unwrap();
        }
        for q in ["lamp", "brass lamp", "lamp brass", "lamp 0001", "comes lamp", "l"] {
            let all = async |shop: &TestShop, limit: i64, pages: i64| {
                let mut all = Vec::new();
                for page in 1..=pages {
                    let path = format!("{}&limit={limit}&page={page}", search_path(q));
                    all.extend(names(&shop.anonymous().get(&path).await));
                }
                all
            };
            let one = all(&few, 100, 1).await;
            // The larger catalog has the same products in the same order, among others.
            let other = all(&many, 100, 11).await;
            let shared: Vec<_> = other.iter().filter(|name| one.contains(name)).cloned().collect();
            assert_eq!(shared, one, "{q}");
            assert_eq!(all(&many, 7, 20).await, other[..140.min(other.len())], "{q}: pages join");
        }
    }

    async fn many_similar_products_are_ranked_like_few(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "off")]).await;
        let expected: Vec<String> = (0..5).map(|number| format!("Kettle {number:03}"))
            .chain((0..15).map(|number| format!("Copper kettle {number:03}")))
            .collect();
        let names_and_texts = |numbers: std::ops::Range<i64>| {
            numbers.flat_map(|number| {
                let kettle = (number < 5).then(|| (format!("Kettle {number:03}"), ""));
                let others = [(format!("Copper kettle {number:03}"), ""), (format!("Desk {number:03}"), "Comes with a kettle")];
                kettle.into_iter().chain(others)
            })
        };
        for numbers in [0..20, 20..80] {
            let new: Vec<_> = names_and_texts(numbers).map(|(name, description)| shop::domain::catalog::NewProduct {
                name: shop::domain::catalog::ProductName::try_from(name).unwrap(),
                description: shop::domain::catalog::Description::try_from(description.to_owned()).unwrap(),
                price: shop::core::money::Price::try_from(100).unwrap(),
                stock: shop::core::money::Stock::try_from(1).unwrap(),
                category: None,
            }).collect();
            let filled = shop.app.db.write("test.fill", move |tx| shop::domain::catalog::create_all(tx, &new).map(drop));
            filled.await.unwrap();
            for filters in ["", "&inStock=true&minPrice=100"] {
                let path = format!("{}{filters}", search_path("kettel"));
                let answer = shop.anonymous().get(&path).await;
                assert_eq!((answer.number("/total"), names(&answer)), (20, expected.clone()), "{path}");
                let mut pages = Vec::new();
                for page in 1..=3 {
                    pages.extend(names(&shop.anonymous().get(&format!("{path}&limit=8&page={page}")).await));
                }
                assert_eq!(pages, expected, "{path}");
            }
            let by_name = names(&shop.anonymous().get(&format!("{}&sort=name", search_path("kettel"))).await);
            let mut sorted = expected.clone();
            sorted.sort();
            assert_eq!(by_name, sorted);
        }
    }

    async fn names_with_a_common_prefix_are_sorted(shop: TestShop) {
        // Sort keys encode the first letters of a name: tests each class of letters and its neighbours.
        let letters: Vec<char> = "-1\u{37e}9:az~ßя한\u{fffd}\u{10000}".chars().collect();
        let mut all: Vec<String> = Vec::new();
        for one in &letters {
            for other in &letters {
                all.push(format!("{one}{other}aa{other}{one} lamp"));
                all.push(format!("zzzzzzzz{one}{other} lamp"));
            }
        }
        let created = all.clone();
        let filled = shop.app.db.write("test.fill", move |tx| {
            for name in &created {
                let new = shop::domain::catalog::NewProduct {
                    name: shop::domain::catalog::ProductName::try_from(name.clone()).unwrap(),
                    description: shop::domain::catalog::Description::try_from(String::new()).unwrap(),
                    price: shop::core::money::Price::try_from(100).unwrap(),
                    stock: shop::core::money::Stock::NONE,
                    category: None,
                };
                shop::domain::catalog::create(tx, &new, &[])?;
            }
            Ok(())
        });
        filled.await.unwrap();
        all.sort_by_cached_key(|name| shop::domain::catalog::normalize(name));
        for sort in ["relevance", "name"] {
            let mut found = Vec::new();
            for page in 1..=all.len().div_ceil(37) {
                let path = format!("/products?q=lamp&sort={sort}&limit=37&page={page}");
                found.extend(names(&shop.anonymous().get(&path).await));
            }
            let normalized = |names: &[String]| names.iter().map(|name| shop::domain::catalog::normalize(name)).collect::<Vec<_>>();
            assert_eq!(normalized(&found), normalized(&all), "{sort}");
        }
    }

    async fn products_without_sort_keys_get_them_at_the_next_start(shop: TestShop) {
        let admin = shop.admin().await;
        for name in ["kettle", "copper kettle", "able kettle"] {
            admin.post("/products", json!({ "name": name, "price": 100 })).await;
        }
        for table in ["postings", "product_search"] {
            shop.raw_db().run(&format!("DELETE FROM {table}"));
        }
        shop.raw_db().run(
            "INSERT INTO product_search (product_id, name_words, words)
             SELECT id, name, name FROM products ORDER BY id",
        );
        let shop = shop.restarted().await;
        let left = shop.raw_db().rows("SELECT key FROM product_search WHERE key < 1000");
        assert!(left.is_empty(), "{left:?}");
        let found = names(&shop.anonymous().get(&search_path("kettle")).await);
        assert_eq!(found, ["kettle", "able kettle", "copper kettle"]);
        assert_eq!(names(&shop.anonymous().get(&search_path("ket")).await), found);
    }

    async fn query_syntax_is_treated_as_text(shop: TestShop) {
        seed_products(&shop).await;
        for q in [
            "\"", "\"\"", "kettle\"", "name_words:kettle", "kettle AND copper", "NOT kettle", "kettle*",
            "^kettle", "NEAR(kettle copper)", "kettle OR", "(kettle", "{words}: a", "'kettle':*", "kettle & !copper",
            "kettle | x", "<->", "\\", "'; DROP TABLE products; --", "%27", "kettle\0", "\u{10ffff}", "a:b:c", "-kettle", "+kettle",
        ] {
            let answer = shop.anonymous().get(&search_path(q)).await;
            assert_eq!(answer.status, 200, "{q}: {answer:?}");
        }
        let both = names(&shop.anonymous().get(&search_path("kettle AND copper")).await);
        assert!(!both.is_empty(), "`and` is an ordinary word");
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), i64::try_from(CATALOG.len()).unwrap());
        for (name, value) in [("sort", "name;--"), ("sort", "p.name_key"), ("cursor", "' OR 1=1"), ("minPrice", "0 OR 1")] {
            let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let refused = shop.anonymous().get(&format!("/products?{name}={value}")).await;
            refused.assert_problem(400, "invalid-query");
        }
    }

    async fn products_without_index_entries_are_indexed_at_the_next_start(shop: TestShop) {
        seed_products(&shop).await;
        for table in ["product_search", "postings", "search_trigrams"] {
            shop.raw_db().run(&format!("DELETE FROM {table}"));
        }
        assert!(names(&shop.anonymous().get(&search_path("kettle")).await).is_empty());
        let shop = shop.restarted().await;
        assert_eq!(names(&shop.anonymous().get(&search_path("kettle")).await)[0], "Kettle");
        assert_eq!(names(&shop.anonymous().get(&search_path("kettel")).await)[0], "Kettle");
    }
}

#[test]
fn at_least_sixty_searches_are_checked() {
    assert!(SEARCHES.len() >= 60, "{}", SEARCHES.len());
}
