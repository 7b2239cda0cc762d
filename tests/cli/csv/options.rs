//! Products with options in CSV files: the rows with the same id are variants of one product.

use std::time::Duration;

use super::*;
use crate::support::shopping::variant_id;

pub(super) const HEADER_WITH_OPTIONS: &str = "\u{feff}id,name,description,price,stockQuantity,stockAtExport,category,images,variantId,sku,\
                              barcode,option1,value1,option2,value2,option3,value3,compareAtPrice,weightGrams\n";

/// A shirt in two colours and sizes, a cap in two sizes, and a mug. The second row of the cap has no name.
const CLOTHING: &str = "\
name,description,category,price,stockQuantity,sku,option1,value1,option2,value2
T-shirt,Cotton,Clothing,149900,5,TS-R-S,Colour,Red,Size,S
T-shirt,,Clothing,149900,3,TS-R-M,Colour,Red,Size,M
T-shirt,,,159900,0,TS-B-M,colour,Blue,size,m
Cap,Wool,Clothing,49900,2,CAP-M,Size,M,,
,,,49900,4,CAP-L,Size,L,,
Mug,,Kitchen,29900,9,MUG,,,,
";

async fn found(shop: &TestShop, name: &str) -> Value {
    let listed = shop.anonymous().get(&format!("/products?q={name}")).await;
    assert_eq!(listed.number("/total"), 1, "{name}");
    shown(shop, &listed.text("/data/0/id")).await.json()
}

/// Returns title, SKU, price and stock of each variant.
fn variants(product: &Value) -> Vec<(String, String, i64, i64)> {
    let variants = product["variants"].as_array().unwrap().iter();
    let text = |variant: &Value, key: &str| variant[key].as_str().unwrap_or_default().to_owned();
    let number = |variant: &Value, key: &str| variant[key].as_i64().unwrap();
    variants
        .map(|it| {
            let numbers = (number(it, "price"), number(it, "stockQuantity"));
            (text(it, "title"), text(it, "sku"), numbers.0, numbers.1)
        })
        .collect()
}

fn rows(rows: &[(&str, &str, i64, i64)]) -> Vec<(String, String, i64, i64)> {
    let owned = rows
        .iter()
        .map(|row| (row.0.to_owned(), row.1.to_owned(), row.2, row.3));
    owned.collect()
}

/// Returns the row of an export that has this SKU.
#[track_caller]
fn row<'a>(export: &'a str, sku: &str) -> &'a str {
    let quoted = format!("\"{sku}\"");
    let row = export.lines().find(|line| line.contains(&quoted));
    row.unwrap_or_else(|| panic!("{sku} in {export}"))
}

fn id_of(product: &Value) -> &str {
    product["id"].as_str().unwrap()
}

storage_test! {
    async fn a_clothing_shop_is_imported_from_one_file(shop: TestShop) {
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        let report = imported_file(&shop, CLOTHING);
        assert_eq!(report, json!({
            "created": 3, "updated": 0, "unchanged": 0, "variantsCreated": 5, "variantsUpdated": 0, "categories": 2,
            "withoutImages": 0, "stockSet": 0, "stockIgnored": 0,
        }));
        let shirt = found(&shop, "shirt").await;
        assert_eq!(variants(&shirt), rows(&[
            ("Red / S", "TS-R-S", 149_900, 5), ("Red / M", "TS-R-M", 149_900, 3), ("Blue / M", "TS-B-M", 159_900, 0),
        ]));
        let kept = ["price", "priceMax", "stockQuantity", "variantCount"].map(|key| shirt[key].as_i64().unwrap());
        assert_eq!(kept, [149_900, 159_900, 8, 3]);
        assert_eq!((&shirt["description"], &shirt["category"]["name"]), (&json!("Cotton"), &json!("Clothing")));
        let values = |option: usize| {
            let values = shirt["options"][option]["values"].as_array().unwrap().iter();
            values.map(|it| it["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((values(0), values(1)), (vec!["Red".to_owned(), "Blue".to_owned()], vec!["S".to_owned(), "M".to_owned()]));
        assert_eq!(variants(&found(&shop, "cap").await), rows(&[("M", "CAP-M", 49_900, 2), ("L", "CAP-L", 49_900, 4)]));
        let mug = found(&shop, "mug").await;
        assert_eq!((&mug["variants"][0]["id"], &mug["options"]), (&mug["id"], &json!([])));
        for q in ["TS-B-M", "cap-l"] {
            assert_eq!(shop.anonymous().get(&format!("/products?q={q}")).await.number("/total"), 1, "{q}");
        }
        let mut received = serde_json::Map::new();
        while received.len() < 3 {
            for product in listener.receive().await["products"].as_array().unwrap() {
                received.insert(id_of(product).to_owned(), product.clone());
            }
        }
        let blue = variant_id(&shirt, "Blue / M");
        let told = &received[id_of(&shirt)];
        assert_eq!((&told["stockQuantity"], told["variants"].as_array().unwrap().len()), (&json!(8), 3));
        assert!(told["variants"].as_array().unwrap().contains(&json!({ "id": blue, "stockQuantity": 0 })), "{told}");
        assert!(received[id_of(&mug)].get("variants").is_none());
        let order = shop.customer("ada").await;
        order.post("/cart", json!({ "variantId": variant_id(&shirt, "Red / M"), "quantity": 3 })).await;
        assert_eq!(order.checkout().await.status, 201);
        shop.raw_db().assert_invariants();
        stdout_of(&shop.run(&["verify"]));
        served.stopped().await;
    }

    async fn an_export_with_options_is_imported_without_loss(shop: TestShop) {
        let admin = shop.admin().await;
        shop.product("Pan", 300, 2).await;
        shop.advance_clock(Duration::from_millis(1));
        let values: Vec<String> = (0..20).map(|n| format!("=v{n}")).collect();
        let options = json!([
            { "name": "+Size", "values": values }, { "name": "Größe;", "values": ["'a", "\"b\""] }, { "name": "@c", "values": ["x"] },
        ]);
        let letters = ["'A", "\"B\""];
        let variant = |n: usize| json!({
            "options": { "+Size": format!("=v{n}"), "größe;": letters[n % 2], "@C": "X" },
            "price": 100 + n, "stockQuantity": n, "sku": format!("-{n}"), "compareAtPrice": 500, "position": 20 - n,
        });
        let variants: Vec<Value> = (0..20).map(variant).collect();
        let created = admin.post("/products", json!({ "name": "Many", "description": "a\nb", "options": options, "variants": variants })).await;
        assert_eq!(created.status, 201, "{created:?}");
        let exported = export(&shop);
        assert!(exported.starts_with(HEADER_WITH_OPTIONS), "{exported}");
        assert_eq!(exported.matches("\"Many\"").count(), 20);
        let report = imported_file(&shop, &exported);
        assert_eq!((&report["unchanged"], &report["updated"]), (&json!(2), &json!(0)));
        let file = write_file(&shop, "out.csv", "");
        assert_eq!(stdout_of(&shop.run(&["admin", "product", "export", &file])), format!("exported 2 products to `{file}`\n"));

        let other = TestShop::on(shop.engine).await.unwrap();
        let report = imported_file(&other, &exported);
        assert_eq!((&report["created"], &report["variantsCreated"]), (&json!(2), &json!(20)));
        assert_eq!(export(&other), exported);
        stdout_of(&other.run(&["verify"]));
        other.raw_db().assert_invariants();
    }

    async fn a_file_changes_and_adds_variants(shop: TestShop) {
        imported_file(&shop, CLOTHING);
        let shirt = found(&shop, "shirt").await;
        let id = id_of(&shirt);
        let (small, blue) = (variant_id(&shirt, "Red / S"), variant_id(&shirt, "Blue / M"));
        // A variant is named by its id or by its options.
        let csv = format!(
            "id,variantId,option1,value1,option2,value2,price,stockQuantity,sku\n\
             {id},{small},,,,,139900,6,\n\
             {id},,size,M,Colour,blue,,4,TS-B-M\n\
             {id},,Colour,Green,Size,XL,199900,1,TS-G-XL\n"
        );
        let report = imported_file(&shop, &csv);
        assert_eq!((&report["updated"], &report["variantsCreated"], &report["variantsUpdated"], &report["stockSet"]),
            (&json!(1), &json!(1), &json!(2), &json!(2)));
        let changed = shown(&shop, id).await.json();
        assert_eq!(variants(&changed), rows(&[
            ("Red / S", "", 139_900, 6), ("Red / M", "TS-R-M", 149_900, 3), ("Blue / M", "TS-B-M", 159_900, 4),
            ("Green / XL", "TS-G-XL", 199_900, 1),
        ]));
        assert_eq!((&changed["price"], &changed["priceMax"], &changed["stockQuantity"]), (&json!(139_900), &json!(199_900), &json!(14)));
        assert_eq!((&changed["name"], &changed["description"]), (&json!("T-shirt"), &json!("Cotton")));
        assert_eq!(shop.anonymous().get("/products?sku=TS-R-S").await.number("/total"), 0, "the SKU was removed");
        assert_eq!(imported_file(&shop, &csv)["unchanged"], 1);

        // Two variants exchange options and SKUs.
        let red = variant_id(&shirt, "Red / M");
        let csv = format!(
            "id,variantId,sku,option1,value1,option2,value2\n{id},{red},TS-B-M,Colour,Blue,Size,M\n{id},{blue},TS-R-M,Colour,Red,Size,M\n"
        );
        assert_eq!(imported_file(&shop, &csv)["variantsUpdated"], 2);
        let changed = shown(&shop, id).await.json();
        assert_eq!((variant_id(&changed, "Red / M"), variant_id(&changed, "Blue / M")), (blue.clone(), red));
        assert_eq!(variants(&changed)[1].1, "TS-B-M");

        // One gets other options, and a new variant its old ones.
        let csv = format!(
            "id,variantId,option1,value1,option2,value2,price,sku\n{id},{blue},Colour,Red,Size,L,,TS-R-M\n{id},,Colour,Red,Size,M,129900,TS-NEW\n"
        );
        let report = imported_file(&shop, &csv);
        assert_eq!((&report["variantsCreated"], &report["variantsUpdated"]), (&json!(1), &json!(1)));
        let changed = shown(&shop, id).await.json();
        assert_eq!((variant_id(&changed, "Red / L"), variants(&changed).len()), (blue.clone(), 5));
        assert_ne!(variant_id(&changed, "Red / M"), blue);

        // A row that names no variant changes the product alone.
        let csv = format!("id,name,price,stockQuantity\n{id},Tee,,\n");
        assert_eq!(imported_file(&shop, &csv)["updated"], 1);
        let renamed = shown(&shop, id).await.json();
        assert_eq!((&renamed["name"], &renamed["price"], variants(&renamed)), (&json!("Tee"), &json!(129_900), variants(&changed)));
        for cells in ["Tee,1,", "Tee,,1"] {
            let (errors, _) = refused(&import_file(&shop, &format!("id,name,price,stockQuantity\n{id},{cells}\n"), &[]));
            assert_eq!(errors, ["line 2: the product has options; rows that change price, stock or codes need `variantId`, or options"]);
        }
        shop.raw_db().assert_invariants();
        stdout_of(&shop.run(&["verify"]));
    }

    async fn units_of_a_variant_sold_since_the_export_stay_sold(shop: TestShop) {
        imported_file(&shop, CLOTHING);
        let exported = export(&shop);
        let shirt = found(&shop, "shirt").await;
        let ada = shop.customer("ada").await;
        ada.post("/cart", json!({ "variantId": variant_id(&shirt, "Red / S"), "quantity": 2 })).await;
        assert_eq!(ada.checkout().await.status, 201);
        let before = row(&exported, "TS-R-S");
        let csv = edited(&exported, before, &edited(before, ",5,5,", ",15,5,"));
        let report = imported_file(&shop, &csv);
        assert_eq!((&report["variantsUpdated"], &report["stockSet"], &report["unchanged"]), (&json!(1), &json!(0), &json!(2)));
        let shirt = found(&shop, "shirt").await;
        assert_eq!((variants(&shirt)[0].3, &shirt["stockQuantity"]), (13, &json!(16)));
        let (_, error) = {
            let output = import_file(&shop, &csv, &[]);
            streams(&output)
        };
        assert!(error.contains("`stockAtExport` in this file were imported at"), "{error}");
        let (errors, _) = refused(&import_file(&shop, &edited(&csv, ",15,5,", ",0,50,"), &[]));
        assert!(errors[0].contains("`stockQuantity` takes 50 from a stock of 13"), "{errors:?}");
        let moved = "SELECT delta FROM stock_movements WHERE cause = 'import' AND variant_id IS NOT NULL ORDER BY delta";
        assert_eq!(shop.raw_db().numbers(moved), [0, 2, 3, 4, 5, 10]);
        stdout_of(&shop.run(&["verify"]));
    }

    async fn a_product_gets_options_from_a_file(shop: TestShop) {
        let mug = shop.product("Mug", 500, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&mug, 1).await;
        let head = "id,variantId,price,stockQuantity,option1,value1";
        let (errors, _) = refused(&import_file(&shop, &format!("{head}\n{mug},,500,5,Colour,Red\n"), &[]));
        assert_eq!(errors, [format!(
            "line 2: the product has one variant and no options yet; one of its rows needs its `variantId`, which is {mug}"
        )]);
        for cells in [",,,", "550,5,,"] {
            let csv = format!("{head}\n{mug},{mug},{cells}\n{mug},,600,3,Colour,Blue\n");
            let (errors, _) = refused(&import_file(&shop, &csv, &[]));
            assert_eq!(errors, ["line 2: the product gets options; this row needs them, too"]);
        }
        let csv = format!("{head}\n{mug},{mug},,,Colour,Red\n{mug},,600,3,Colour,Blue\n");
        let report = imported_file(&shop, &csv);
        assert_eq!((&report["variantsCreated"], &report["variantsUpdated"]), (&json!(1), &json!(1)));
        let coloured = shown(&shop, &mug).await.json();
        assert_eq!(variants(&coloured), rows(&[("Red", "", 500, 5), ("Blue", "", 600, 3)]));
        assert_eq!((variant_id(&coloured, "Red"), &coloured["stockQuantity"]), (mug.clone(), &json!(8)));
        assert_eq!(ada.checkout().await.status, 201, "the cart has the red one");
        assert_eq!(shown(&shop, &mug).await.number("/stockQuantity"), 7);
        stdout_of(&shop.run(&["verify"]));
        shop.raw_db().assert_invariants();
    }

    async fn every_invalid_row_of_a_variant_is_named(shop: TestShop) {
        imported_file(&shop, CLOTHING);
        let (shirt, cap, mug) = (found(&shop, "shirt").await, found(&shop, "cap").await, found(&shop, "mug").await);
        let (id, cap_id, mug) = (id_of(&shirt), id_of(&cap), id_of(&mug));
        let (red, cap_m) = (variant_id(&shirt, "Red / S"), variant_id(&cap, "M"));
        let before = shop.raw_db().dump();
        let head = "id,variantId,name,category,price,sku,option1,value1,option2,value2,option3,value3";
        for (rows, errors) in [
            (format!("{id},{red},,,,,Colour,,,Red,,"), vec!["line 2: `value1` is empty, but `option1` is not"]),
            (format!("{id},{red},,,,,,Red,,,,"), vec!["line 2: `option1` is empty, but `value1` is not"]),
            (format!("{id},{red},,,,,Size,S,SIZE,M,,"), vec!["line 2: `option2` is the same option as another of the row"]),
            (format!("{id},red,,,,,,,,,,"), vec!["line 2: `variantId` must be a variant's id, or empty for a new variant"]),
            (format!(",{red},Shirt,,1,,,,,,,"), vec!["line 2: `variantId` needs `id`, which is that of its product"]),
            (format!("{id},{red},,,,,,,,,,\n{id},{red},,,,,,,,,,"), vec!["line 3: `variantId` is in line 2 already"]),
            (format!("{id},{red},,,,,,,,,,\n{id},,,,,,,,,,,"), vec!["line 3: `id` is in line 2 already"]),
            (format!("{id},{cap_m},,,,,,,,,,"), vec!["line 2: `variantId` is not that of a variant of the product; a new one needs options"]),
            (format!("{mug},{cap_m},,,,,,,,,,"), vec!["line 2: `variantId` is not that of the product's variant; a new one needs options"]),
            (format!("{id},{cap_m},,,5,,Colour,Red,Size,XL,,"), vec!["line 2: `variantId` belongs to product CAP already"]),
            (format!("{id},,,,,,Colour,Red,Size,XL,,"), vec!["line 2: a new variant needs `price`"]),
            (format!("{id},,,,5,,Colour,Red,,,,"), vec!["line 2: `options.Size` is required"]),
            (format!("{id},,,,5,,Colour,Red,Shape,Round,,"), vec!["line 2: the product has no option `Shape`; it has `Colour`, `Size`"]),
            (format!("{id},{red},,,,,Colour,Red,Size,M,,"), vec!["line 2: variant RED-M has the same options"]),
            (format!("{id},{red},,,,,,,,,,\n{id},,,,,,Colour,Red,Size,S,,"), vec!["line 3: the same variant is in line 2 already"]),
            (format!("{id},,,,5,,Colour,Red,Size,XL,,\n{id},,,,5,,Size,xl,Colour,RED,,"), vec!["line 3: the same options are in line 2 already"]),
            (format!("{id},,,,5,,Colour,Red,Size,XL,,\n{id},,,,5,,Colour,Red,,,,"), vec!["line 3: must have the options of line 2: `Colour`, `Size`"]),
            (format!("{id},{red},Tee,A,,,,,,,,\n{id},,Top,B,5,,Colour,Red,Size,XL,,"), vec![
                "line 3: `name` differs from that of the same product in line 2; `category` differs from that of the same product in line 2",
            ]),
            (format!("{id},,,,5,cap-m,Colour,Red,Size,XL,,"), vec!["line 2: `sku` belongs to product CAP already"]),
            (format!("{UNKNOWN},{UNKNOWN},Jug,,5,,,,,,,\n{UNKNOWN},01900000-0000-7000-8000-00000000cafd,Jug,,6,,,,,,,"), vec![
                "line 3: `variantId` must be the same as `id` for a product without options",
            ]),
            (",,Shoe,,x,,Size,40,,,,\n,,,,5,,Size,41,,,,".to_owned(), vec![
                "line 2: `price` must be an integer in paise, e.g. 1299 for 12.99 INR, from 1 to 100000000000",
            ]),
            (format!("{cap_m},,Cup,,5,,,,,,,"), vec!["line 2: `id` belongs to product CAP already"]),
            // Another product, because it has a name of its own; then a variant of it whose product is not known.
            (",,Shoe,,5,,Size,40,,,,\n,,Boot,,x,,Size,40,,,,\n,,,,5,,Size,41,,,,\n,,,,5,,,,,,,".to_owned(), vec![
                "line 3: `price` must be an integer in paise, e.g. 1299 for 12.99 INR, from 1 to 100000000000",
                "line 5: `name` must be 1 to 200 characters without control characters",
            ]),
        ] {
            let (found, _) = refused(&import_file(&shop, &format!("{head}\n{rows}\n"), &[]));
            let red_m = variant_id(&shirt, "Red / M");
            let errors: Vec<String> = errors.iter().map(|it| it.replace("CAP", cap_id).replace("RED-M", &red_m)).collect();
            assert_eq!(found, errors, "{rows}");
        }
        let many = (0..201).map(|n| format!(",,{},,1,,Size,{n},,,,\n", if n == 0 { "Shoe" } else { "" }));
        let many: String = many.collect();
        let (errors, _) = refused(&import_file(&shop, &format!("{head}\n{many}"), &[]));
        assert_eq!(errors[0], "line 52: the option `Size` has at most 50 values");
        let many = (0..201).map(|n| format!("{UNKNOWN},,Shoe,,1,,A,{},B,{},,\n", n / 20, n % 20));
        let many: String = many.collect();
        let (errors, _) = refused(&import_file(&shop, &format!("{head}\n{many}"), &[]));
        assert_eq!(errors, ["line 202: a product has at most 200 variants"]);
        assert_eq!(shop.raw_db().dump(), before);
    }

    async fn codes_of_variants_that_a_spreadsheet_has_changed_are_refused(shop: TestShop) {
        imported_file(&shop, &CLOTHING.replace("TS-R-S", "00123"));
        let shirt = found(&shop, "shirt").await;
        let id = id_of(&shirt);
        for (sku, error) in [("123", "without its leading zeros"), ("1.23E+15", "a spreadsheet has rounded")] {
            let csv = format!("id,option1,value1,option2,value2,sku\n{id},Colour,Red,Size,S,{sku}\n");
            let (errors, _) = refused(&import_file(&shop, &csv, &[]));
            assert!(errors[0].contains(error), "{errors:?}");
        }
    }
}
