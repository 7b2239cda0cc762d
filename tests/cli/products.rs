//! `shop admin product` and `category`: show, edit, rename, delete, and the errors for invalid amounts.

use super::*;
use crate::support::{Form, storage_test};

const PAISE: &str = "must be an integer in paise, e.g. 1299 for 12.99 INR, from 1 to 100000000000";

const UNKNOWN: &str = "01900000-0000-7000-8000-000000000000";

storage_test! {
    async fn a_variant_is_shown_and_edited(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let mug = shop.product("Mug", 3_000, 5).await;
        let variant = ["admin", "product", "variant"];
        let (show, edit) = ([&variant[..], &["show", &kettle]].concat(), [&variant[..], &["edit", &kettle]].concat());
        let fields = ["--sku", "KET-1", "--barcode", "400", "--compare-at-price", "149900", "--weight", "1250",
            "--requires-shipping", "false"];
        let edited = json_on(&shop, &[&edit[..], &fields].concat());
        let path = format!("/variants/{kettle}");
        assert_eq!(edited, shop.anonymous().get(&path).await.json());
        assert_eq!(json_on(&shop, &show), edited);
        let summary = stdout_of(&shop.run(&show));
        for line in [&format!("Kettle ({kettle})"), "price: INR 1,299.00", "stock: 5", "SKU: KET-1", "barcode: 400",
            "compare at: INR 1,499.00", "weight: 1250 g", "requires shipping: no"]
        {
            assert!(summary.lines().any(|it| it == line), "{line}: {summary}");
        }
        let removed = ["--sku", "", "--barcode", " ", "--compare-at-price", "", "--weight", ""];
        assert_eq!(stdout_of(&shop.run(&[&edit[..], &removed].concat())), format!("updated Kettle ({kettle})\n"));
        let read = shop.anonymous().get(&path).await.json();
        for field in ["sku", "barcode", "compareAtPrice", "weightGrams"] {
            assert_eq!(read[field], Value::Null, "{field}");
        }

        let long = "x".repeat(65);
        let wrong = ["--sku", &long, "--weight", "-1", "--compare-at-price", "1.5"];
        let refused = shop.run(&[&variant[..], &["edit", "kettle"], &wrong].concat());
        let (_, errors) = streams(&refused);
        assert_eq!(refused.status.code(), Some(2), "{errors}");
        for part in ["`ID`: must be a variant's id", "`--sku`: must be 1 to 64 characters", "`--weight`: must be a whole number",
            &format!("`--compare-at-price`: {PAISE}")]
        {
            assert!(errors.contains(part), "{part}: {errors}");
        }
        json_on(&shop, &[&variant[..], &["edit", &mug, "--sku", "ket-1"]].concat());
        let taken = shop.run(&[&edit[..], &["--sku", "KET-1"]].concat());
        let (_, errors) = streams(&taken);
        assert_eq!(taken.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&mug), "{errors}");
        let unknown = shop.run(&[&variant[..], &["show", UNKNOWN]].concat());
        assert_eq!((unknown.status.code(), streams(&unknown).1), (Some(1), "error: variant not found\n".to_owned()));
    }

    async fn options_and_variants_are_managed(shop: TestShop) {
        let shirt = shop.product("T-shirt", 79_900, 5).await;
        let product = |rest: &[&str]| json_on(&shop, &[&["admin", "product"], rest].concat());
        let refused = |rest: &[&str]| {
            let refused = shop.run(&[&["admin", "product"], rest].concat());
            (refused.status.code(), streams(&refused).1)
        };
        let set = ["options", &shirt, "--option", "Size=S, M,L"];
        let (code, errors) = refused(&set);
        assert!(code == Some(2) && errors.contains("`assign.Size`: is required"), "{errors}");
        let shown = product(&[&set[..], &["--assign", "Size=M"]].concat());
        assert_eq!(shown["variants"][0]["title"], "M");
        let summary = stdout_of(&shop.run(&["admin", "product", "options", &shirt]));
        assert_eq!(summary, "T-shirt\nSize: S, M, L\n");
        let small = ["variant", "add", &shirt, "--option", "Size=S", "--price", "69900", "--stock", "2", "--sku", "TS-S"];
        let small = product(&small);
        let id = small["id"].as_str().unwrap();
        assert_eq!(small, shop.anonymous().get(&format!("/variants/{id}")).await.json());
        let (code, errors) = refused(&["variant", "add", &shirt, "--option", "Size=S", "--price", "1"]);
        assert!(code == Some(1) && errors.contains(id), "{errors}");
        let (code, errors) = refused(&["variant", "add", "shirt", "--option", "Size", "--price", "1"]);
        assert!(code == Some(2) && errors.contains("NAME=VALUE"), "{errors}");
        let table = stdout_of(&shop.run(&["admin", "product", "variant", "list", &shirt]));
        assert!(table.contains("TS-S") && table.contains("INR 699.00"), "{table}");
        let edited = product(&["variant", "edit", id, "--price", "64900", "--option", "Size=L"]);
        assert_eq!((&edited["title"], &edited["price"]), (&json!("L"), &json!(64_900)));
        let counted = product(&["variant", "stock", id, "5", "--reason", "delivery"]);
        assert_eq!(counted["stockQuantity"], 7);
        assert!(refused(&["stock", &shirt, "1", "--reason", "delivery"]).1.contains("several variants"));
        assert!(refused(&["edit", &shirt, "--price", "1"]).1.contains("several variants"));
        let deleted = stdout_of(&shop.run(&["admin", "product", "variant", "delete", id]));
        assert_eq!(deleted, format!("deleted T-shirt, L ({id})\n"));
        assert!(refused(&["variant", "delete", &shirt]).1.contains("no other variant"));
    }

    async fn a_product_is_shown_edited_and_deleted(shop: TestShop) {
        let admin = shop.admin().await;
        let kitchen = admin.post("/categories", json!({ "name": "Kitchen" })).await.text("/id");
        let body = json!({
            "name": "Kettle", "description": "Boils.", "price": 129_900, "stockQuantity": 5,
            "categoryId": kitchen,
        });
        let made = admin.post("/products", body).await;
        let id = made.text("/id");
        let show = ["admin", "product", "show", &id];
        let path = format!("/products/{id}");
        let mut shown = json_on(&shop, &show);
        assert_eq!(shown, made.json());
        let summary = stdout_of(&shop.run(&show));
        for word in ["Kettle", &id, "INR 1,299.00", "stock: 5", "category: Kitchen", "Boils."] {
            assert!(summary.contains(word), "{word}: {summary}");
        }
        let table = stdout_of(&shop.run(&["admin", "product", "list"]));
        assert!(table.contains("INR 1,299.00"), "{table}");

        let edits: [(&[&str], &str, Value); 5] = [
            (&["--price", "139900"], "/price", json!(139_900)),
            (&["--name", "Pot"], "/name", json!("Pot")),
            (&["--description", ""], "/description", json!("")),
            (&["--category", ""], "/category", json!(null)),
            (&["--category", "kitchen"], "/category/name", json!("Kitchen")),
        ];
        for (flags, pointer, value) in edits {
            let edited = json_on(&shop, &[&["admin", "product", "edit", &id][..], flags].concat());
            assert_eq!(edited.pointer(pointer), Some(&value), "{flags:?}");
            let read = shop.anonymous().get(&path).await.json();
            assert_eq!(read, edited);
            for field in ["name", "description", "price", "stockQuantity"] {
                if pointer != format!("/{field}") {
                    assert_eq!(edited[field], shown[field], "{field} by {flags:?}");
                }
            }
            shown = edited;
        }
        let image = shop.directory.path().join("kettle.picture");
        fs::write(&image, images::png()).unwrap();
        let add = ["admin", "product", "edit", &id, "--image", image.to_str().unwrap()];
        let summary = stdout_of(&shop.run(&add));
        assert_eq!(summary, format!("updated Pot ({id})\n"));
        assert_eq!(json_on(&shop, &add)["images"].as_array().unwrap().len(), 2);

        let nothing = shop.run(&["admin", "product", "edit", &id]);
        let (_, err) = streams(&nothing);
        assert_eq!(nothing.status.code(), Some(2), "{err}");
        assert!(err.contains("--price"), "{err}");
        let nowhere = ["admin", "product", "edit", &id, "--category", "Garden"];
        assert!(usage_failure_of(&shop.run(&nowhere)).contains("shop admin category add"));

        let deleted = stdout_of(&shop.run(&["admin", "product", "delete", &id]));
        assert_eq!(deleted, format!("deleted Pot ({id})\n"));
        assert_eq!(shop.anonymous().get(&path).await.status, 404);
        for id in [id.as_str(), UNKNOWN] {
            let commands: [&[&str]; 3] = [&["show", id], &["delete", id], &["edit", id, "--price", "1"]];
            for command in commands {
                let error = failure_of(&shop.run(&[&["admin", "product"][..], command].concat()));
                assert!(error.contains("product not found"), "{error}");
            }
        }
        shop.raw_db().assert_invariants();
    }

    async fn a_category_is_renamed_and_deleted(shop: TestShop) {
        let admin = shop.admin().await;
        for name in ["Crème", "Tea"] {
            stdout_of(&shop.run(&["admin", "category", "add", name]));
        }
        let renamed = json_on(&shop, &["admin", "category", "rename", "creme", "Coffee"]);
        assert_eq!((&renamed["name"], &renamed["slug"]), (&json!("Coffee"), &json!("creme")));
        let summary = stdout_of(&shop.run(&["admin", "category", "rename", "COFFEE", "Brews"]));
        assert_eq!(summary, "renamed Coffee to Brews\n");
        let error = failure_of(&shop.run(&["admin", "category", "rename", "tea", "brews"]));
        assert!(error.contains("a category with this name already exists"), "{error}");
        usage_failure_of(&shop.run(&["admin", "category", "rename", "tea", " "]));

        // The slug of one category is the name of another.
        stdout_of(&shop.run(&["admin", "category", "add", "creme"]));
        let error = failure_of(&shop.run(&["admin", "category", "delete", "creme"]));
        let id = renamed["id"].as_str().unwrap();
        assert!(error.contains("Brews") && error.contains(id), "{error}");

        let body = json!({ "name": "Kettle", "price": 1, "categoryId": id });
        let product = admin.post("/products", body).await.text("/id");
        let error = failure_of(&shop.run(&["admin", "category", "delete", "brews"]));
        assert!(error.contains("1 products are in this category"), "{error}");
        stdout_of(&shop.run(&["admin", "product", "delete", &product]));
        assert_eq!(stdout_of(&shop.run(&["admin", "category", "delete", id])), "deleted Brews\n");
        let deleted = json_on(&shop, &["admin", "category", "delete", "creme-2"]);
        assert_eq!(deleted["name"], "creme");
        assert!(failure_of(&shop.run(&["admin", "category", "delete", "creme"])).contains("category not found"));
        let left = shop.anonymous().get("/categories").await;
        assert_eq!(strings(&left.json()["data"], "name"), ["Tea"]);
        shop.raw_db().assert_invariants();
    }

    async fn an_error_about_a_price_names_the_unit(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 100, 1).await;
        let path = format!("/products/{kettle}");
        for price in [json!(12.99), json!("12.99"), json!(0), json!(100_000_000_001_i64)] {
            let answers = [
                admin.post("/products", json!({ "name": "Pan", "price": price })).await,
                admin.patch(&path, json!({ "price": price })).await,
            ];
            for answer in answers {
                answer.assert_invalid_field("price");
                assert_eq!(answer.text("/errors/0/message"), PAISE, "{price}");
                assert_eq!(answer.text("/detail"), format!("`price`: {PAISE}"));
            }
        }
        let form = Form::default().text("name", "Pan").text("price", "12.99");
        let answer = admin.upload(http::Method::POST, "/products", &[], form).await;
        assert_eq!(answer.text("/errors/0/message"), PAISE);
        let answer = admin.post("/products", json!({ "name": "Pan" })).await;
        assert_eq!(answer.text("/errors/0/code"), "required");

        for price in ["12.99", "0", "-5", "much"] {
            let commands: [&[&str]; 2] = [
                &["add", "--name", "Pan", "--stock", "1", "--price", price],
                &["edit", &kettle, "--price", price],
            ];
            for command in commands {
                let error = usage_failure_of(&shop.run(&[&["admin", "product"][..], command].concat()));
                assert_eq!(error, format!("`--price`: {PAISE}"));
            }
        }
        for amount in ["12.99", "0", "-5"] {
            let error = usage_failure_of(&shop.run(&["admin", "order", "refund", "any", "--amount", amount]));
            assert!(error.contains("`--amount`: must be an integer in paise, e.g. 1299 for 12.99 INR"), "{error}");
        }
        let yen = shop.with_settings(&[("currency", "JPY")]).await;
        let answer = yen.admin().await.post("/products", json!({ "name": "Pan", "price": 12.99 })).await;
        let message = answer.text("/errors/0/message");
        assert!(message.contains("in yen, e.g. 1299 for 1299 JPY,"), "{message}");
        // Without the setting, the shop keeps the recorded currency.
        let yen = yen.restarted().await;
        let pan = yen.product("Pan", 1299, 1).await;
        let shown = stdout_of(&yen.run(&["admin", "product", "show", &pan]));
        assert!(shown.contains("price: JPY 1,299"), "{shown}");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM products"), 1);
    }
}

#[test]
fn negative_numbers_are_values_of_flags() {
    let directory = new_shop();
    let add = [
        "admin", "product", "add", "--name", "", "--price", "-1", "--stock", "-3",
    ];
    let error = run_refused(directory.path(), &add);
    for flag in [
        "`--name`: ",
        "`--price`: ",
        "`--stock`: must be a whole number from 0",
    ] {
        assert!(error.contains(flag), "all errors are reported: {error}");
    }
    let stock = [
        "admin",
        "product",
        "stock",
        "kettle",
        "-2000000000",
        "--reason",
        "",
    ];
    let error = run_refused(directory.path(), &stock);
    for value in ["`ID`: ", "`DELTA`: ", "`--reason`: "] {
        assert!(error.contains(value), "all errors are reported: {error}");
    }
}

#[test]
fn categories_are_created_and_listed() {
    let directory = new_shop();
    let directory = directory.path();
    let made = json_of(directory, &["admin", "category", "add", "Tea & Coffee"]);
    assert_eq!(made["name"], "Tea & Coffee");
    let summary = stdout_of(&run(directory, &["admin", "category", "add", "Books"]));
    assert_eq!(summary, "created Books (books)\n");
    run_failing(directory, &["admin", "category", "add", "BOOKS"]);
    run_refused(directory, &["admin", "category", "add", ""]);
    let listed = json_of(directory, &["admin", "category", "list"]);
    assert_eq!(strings(&listed, "name"), ["Books", "Tea & Coffee"]);
    let table = stdout_of(&run(directory, &["admin", "category", "list"]));
    assert_eq!(table.lines().count(), 3, "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_shows_new_products() {
    let directory = new_shop();
    let directory = directory.path();
    let image = directory.join("kettle.picture");
    fs::write(&image, images::png()).unwrap();
    let image = image.to_str().unwrap();
    stdout_of(&run(directory, &["admin", "category", "add", "Kitchen"]));
    let server = Process::start(directory);

    let arguments = [
        "admin", "product", "add", "--name", "Kettle", "--price", "129900",
    ];
    let more = [
        "--stock",
        "5",
        "--category",
        "kitchen",
        "--description",
        "Boils.",
        "--image",
        image,
    ];
    let made = json_of(
        directory,
        &[&arguments[..], &more, &["--image", image]].concat(),
    );
    assert_eq!(
        (&made["price"], &made["stockQuantity"]),
        (&json!(129_900), &json!(5))
    );
    assert_eq!(made["category"]["name"], "Kitchen");
    assert_eq!(made["images"].as_array().unwrap().len(), 2);

    let id = made["id"].as_str().unwrap();
    let client = Remote::new(&server);
    let shown = client.get(&format!("/products/{id}")).await;
    assert_eq!(shown.json(), made, "the running server shows the product");
    let url = made["images"][0]["url"].as_str().unwrap();
    assert!(url.starts_with(&server.url), "{url}");
    let image = reqwest::get(url).await.unwrap();
    assert_eq!(image.status().as_u16(), 200);
    assert_eq!(image.headers()["content-type"], "image/png");

    let changed = json_of(
        directory,
        &["admin", "product", "stock", id, "-2", "--reason", "broken"],
    );
    assert_eq!(changed["stockQuantity"], 3);
    let summary = run(
        directory,
        &["admin", "product", "stock", id, "7", "--reason", "found"],
    );
    assert_eq!(stdout_of(&summary), "stock of Kettle: 10\n");
    assert_eq!(
        client
            .get(&format!("/products/{id}"))
            .await
            .number("/stockQuantity"),
        10
    );
    let error = run_failing(
        directory,
        &["admin", "product", "stock", id, "-11", "--reason", "lost"],
    );
    assert!(
        error.contains("not enough of `Kettle` (10 left, 11 requested)"),
        "{error}"
    );

    let listed = json_of(directory, &["admin", "product", "list"]);
    assert_eq!(strings(&listed, "name"), ["Kettle"]);
    let table = stdout_of(&run(directory, &["admin", "product", "list"]));
    assert!(table.contains(id) && table.contains("Kitchen"), "{table}");
}

#[test]
fn invalid_products_are_refused() {
    let directory = new_shop();
    let directory = directory.path();
    let text = directory.join("notes.png");
    fs::write(&text, "not a image").unwrap();
    let text = text.to_str().unwrap();
    let kettle = [
        "admin", "product", "add", "--name", "Kettle", "--price", "129900", "--stock", "5",
    ];
    let nine = ["--image", text].repeat(9);
    let error = run_failing(directory, &[&kettle[..], &["--image", text]].concat());
    assert!(error.contains("notes.png"), "{error}");
    let all_wrong = [
        "admin",
        "product",
        "add",
        "--name",
        " ",
        "--price",
        "free",
        "--stock",
        "5",
        "--category",
        "Kitchen",
        "--image",
        "nowhere.png",
        "--image",
        text,
    ];
    let error = run_refused(directory, &all_wrong);
    for part in [
        "`--name`: ",
        "`--price`: ",
        "`--category`: ",
        "`nowhere.png`",
    ] {
        assert!(error.contains(part), "all errors are reported: {error}");
    }
    let wrong: [(&[&str], &str); 4] = [
        (&["--category", "Kitchen"], "shop admin category add"),
        (&["--image", "nowhere.png"], "nowhere.png"),
        (&["--description", &"d".repeat(10_001)], "--description"),
        (&nine, "at most 8"),
    ];
    for (more, word) in wrong {
        let error = run_refused(directory, &[&kettle[..], more].concat());
        assert!(error.contains(word), "{error}");
    }
    for (name, price, stock, word) in [
        ("", "1", "1", "--name"),
        ("Kettle", "0", "1", "--price"),
        ("Kettle", "100000000001", "1", "--price"),
        ("Kettle", "1", "1000000001", "--stock"),
    ] {
        let add = [
            "admin", "product", "add", "--name", name, "--price", price, "--stock", stock,
        ];
        let error = run_refused(directory, &add);
        assert!(error.contains(word), "{error}");
    }
    let nobody = "01900000-0000-7000-8000-000000000000";
    run_failing(
        directory,
        &[
            "admin", "product", "stock", nobody, "1", "--reason", "found",
        ],
    );
    run_refused(
        directory,
        &[
            "admin", "product", "stock", "kettle", "1", "--reason", "found",
        ],
    );
    run_refused(
        directory,
        &[
            "admin", "product", "stock", nobody, "0", "--reason", "nothing",
        ],
    );
    assert_eq!(json_of(directory, &["admin", "product", "list"]), json!([]));
    let images = fs::read_dir(directory.join("images")).map_or(0, Iterator::count);
    assert_eq!(images, 0, "no image is left in the store");
}
