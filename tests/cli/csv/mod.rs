//! CSV import and export of products.

mod columns;
mod options;
mod stock_differences;
mod variants;

use super::*;
use crate::support::{TestShop, live::Served, run_on, storage_test};

const HEADER: &str = "id,name,description,price,stockQuantity,category,images";

/// The header row of an export.
const EXPORT_HEADER: &str =
    "\u{feff}id,name,description,price,stockQuantity,stockAtExport,category,images\n";

/// The columns as errors list them.
const COLUMNS: &str = "id,name,description,price,stockQuantity,stockAtExport,category,images,variantId,sku,\
                       barcode,option1,value1,option2,value2,option3,value3,compareAtPrice,weightGrams";

const UNKNOWN: &str = "01900000-0000-7000-8000-00000000cafe";

fn write_file(shop: &TestShop, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = shop.directory.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Imports these rows under the usual header.
fn import(shop: &TestShop, lines: &str) -> Output {
    import_file(shop, &format!("{HEADER}\n{lines}"), &[])
}

fn import_file(shop: &TestShop, csv: &str, flags: &[&str]) -> Output {
    let file = write_file(shop, "products.csv", csv);
    shop.run(&[&["admin", "product", "import", &file, "--json"][..], flags].concat())
}

#[track_caller]
fn imported(shop: &TestShop, lines: &str) -> Value {
    serde_json::from_str(&stdout_of(&import(shop, lines))).unwrap()
}

#[track_caller]
fn imported_file(shop: &TestShop, csv: &str) -> Value {
    serde_json::from_str(&stdout_of(&import_file(shop, csv, &[]))).unwrap()
}

/// Replaces a text that must occur in the file.
#[track_caller]
fn edited(csv: &str, from: &str, to: &str) -> String {
    assert!(csv.contains(from), "{from} in {csv}");
    csv.replace(from, to)
}

/// Returns the errors of an import that must fail: one per invalid line, and the final one.
#[track_caller]
fn refused(output: &Output) -> (Vec<String>, String) {
    let (out, err) = streams(output);
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{err}");
    let mut lines: Vec<String> = err.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap();
    let error = last
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("{err}"));
    (lines, error.to_owned())
}

fn export(shop: &TestShop) -> String {
    stdout_of(&shop.run(&["admin", "product", "export"]))
}

async fn price(shop: &TestShop, id: &str) -> i64 {
    shown(shop, id).await.number("/price")
}

async fn shown(shop: &TestShop, id: &str) -> TestResponse {
    shop.anonymous().get(&format!("/products/{id}")).await
}

storage_test! {
    async fn an_import_creates_and_updates_products(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let pan = shop.product("Pan", 50_000, 3).await;
        let lamp = shop.product("Lamp", 70_000, 2).await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        shop.advance_clock(std::time::Duration::from_hours(1));

        let lines = format!(
            "{kettle},Kettle,Boils.,139900,9,Kitchen,\n\
             {pan},Pan,,50000,3,,\n\
             ,New Cup,\"Holds \"\"tea\"\",\nand coffee\",9900,40,KITCHEN,\n\
             {UNKNOWN},Cushion,,20000,0,Home,\n\
             {lamp},Lamp,,70000,1,,\n"
        );
        let report = imported(&shop, &lines);
        assert_eq!(report, json!({
            "created": 2, "updated": 2, "unchanged": 1, "variantsCreated": 0, "variantsUpdated": 0, "categories": 2,
            "withoutImages": 0,
            "stockSet": 2, "stockIgnored": 0,
        }));

        let changed = shown(&shop, &kettle).await;
        assert_eq!((changed.number("/price"), changed.number("/stockQuantity")), (139_900, 9));
        assert_eq!(changed.text("/description"), "Boils.");
        assert_eq!(changed.text("/category/name"), "Kitchen");
        assert_ne!(changed.text("/updatedAt"), changed.text("/createdAt"));
        let left = shown(&shop, &pan).await;
        assert_eq!(left.text("/updatedAt"), left.text("/createdAt"), "unchanged");
        assert_eq!(shown(&shop, UNKNOWN).await.text("/name"), "Cushion");
        let kitchen = shop.anonymous().get("/products?category=kitchen&sort=name").await;
        assert_eq!(kitchen.number("/total"), 2);
        assert_eq!(kitchen.text("/data/1/name"), "New Cup");
        assert_eq!(kitchen.text("/data/1/description"), "Holds \"tea\",\nand coffee");

        let mut received: Vec<(String, i64)> = Vec::new();
        while received.len() < 4 {
            for product in listener.receive().await["products"].as_array().unwrap() {
                let id = product["id"].as_str().unwrap().to_owned();
                received.push((id, product["stockQuantity"].as_i64().unwrap()));
            }
        }
        let cup = kitchen.text("/data/1/id");
        let mut expected =
            vec![(kettle, 9), (lamp, 1), (cup, 40), (UNKNOWN.to_owned(), 0)];
        received.sort();
        expected.sort();
        assert_eq!(received, expected, "every stock change is published, and nothing else");

        let raw = shop.raw_db();
        let moved = "SELECT delta FROM stock_movements WHERE cause = 'import' ORDER BY delta";
        assert_eq!(raw.numbers(moved), [-1, 0, 4, 40]);
        raw.assert_invariants();
        served.stopped().await;
    }

    async fn all_invalid_lines_are_reported_and_nothing_changes(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let gone = shop.product("Gone", 100, 1).await;
        let deleted = shop.admin().await.delete(&format!("/products/{gone}")).await;
        assert_eq!(deleted.status, 204);
        let before = shop.raw_db().dump();
        let (name, text) = ("n".repeat(201), "d".repeat(10_001));
        let lines = format!(
            "{kettle},Cauldron,\"two\nlines\",1,1,Kitchen,\n\
             ,Good,,1,1,Garden,\n\
             ,,,1,1,,\n\
             ,Free,,0,1,,\n\
             \n\
             ,Dear,,100000000001,1,,\n\
             ,Odd,,499.00,-1,,\n\
             ,Many,,1,1000000001,,\n\
             ,{name},{text},1,1,,\n\
             kettle,Kettle,,1,1,,\n\
             {UNKNOWN},One,,1,1,,\n\
             {UNKNOWN},Two,,1,1,,\n\
             {gone},Back,,1,1,,\n\
             ,Short,,1\n\
             ,Picture,,1,1,,kettle.png\n"
        );
        let (bad, error) = refused(&import(&shop, &lines));
        let price = "`price` must be an integer in paise, e.g. 1299 for 12.99 INR, from 1 to 100000000000";
        let stock = "`stockQuantity` must be a whole number from 0 to 1000000000";
        let short = "must be 1 to 200 characters without control characters";
        assert_eq!(bad, [
            format!("line 5: `name` {short}"),
            format!("line 6: {price}"),
            format!("line 8: {price}"),
            format!("line 9: {price}; {stock}"),
            format!("line 10: {stock}"),
            format!("line 11: `name` {short}; `description` must be at most 10,000 characters"),
            "line 12: `id` must be a product's id, or empty for a new product".to_owned(),
            "line 14: `id` is in line 13 already".to_owned(),
            "line 15: the product with this `id` was deleted; leave `id` empty to create a new one"
                .to_owned(),
            "line 16: holds 4 cells; the first line has 7".to_owned(),
            "line 17: `images` must hold URLs, separated by spaces, or nothing".to_owned(),
        ]);
        assert!(error.contains("` has 11 invalid lines, "), "{error}");
        assert!(error.ends_with("listed above; nothing was changed"), "{error}");
        assert_eq!(shop.raw_db().dump(), before);
    }

    async fn a_failed_import_changes_nothing(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let before = shop.raw_db().dump();
        let cups = (0..1200).map(|number| format!(",Cup {number},,9900,{number},Cups,\n"));
        let lines: String = [format!("{kettle},Kettle,,1,7,Kitchen,\n")].into_iter().chain(cups).collect();
        // The table that is written last.
        let last = if shop.database.is_some() { "fresh_events" } else { "events" };
        shop.raw_db().break_table(last);
        let error = failure_of(&import(&shop, &lines));
        assert!(!error.is_empty());
        shop.raw_db().repair_table(last);
        assert_eq!(shop.raw_db().dump(), before);

        let report = imported(&shop, &lines);
        assert_eq!(
            (&report["created"], &report["updated"], &report["categories"]),
            (&json!(1200), &json!(1), &json!(2)),
        );
        shop.raw_db().assert_invariants();
        let report = imported_file(&shop, &export(&shop));
        assert_eq!(report["unchanged"], 1201);
    }

    async fn an_import_does_not_change_images(shop: TestShop) {
        let image = write_file(&shop, "kettle.png", images::png());
        let add = [
            "admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "1",
        ];
        stdout_of(&shop.run(&[&add[..], &["--image", &image, "--image", &image]].concat()));
        let csv = export(&shop);
        let (id, urls) = {
            let line = csv.lines().nth(1).unwrap();
            let urls = line.rsplit(',').next().unwrap().trim_matches('"');
            (line.split(',').next().unwrap(), urls)
        };
        let images = shown(&shop, id).await.json()["images"].clone();
        let keys = urls.split(' ').map(|url| url.rsplit('/').next().unwrap());
        let shown_keys = images.as_array().unwrap().iter();
        assert!(keys.eq(shown_keys.map(|image| {
            image["url"].as_str().unwrap().rsplit('/').next().unwrap()
        })));

        let report = imported(&shop, &format!("{id},Pot,,1,1,,https://elsewhere.example/a.png\n"));
        assert_eq!(report["updated"], 1);
        assert_eq!(shown(&shop, id).await.json()["images"], images);

        let output = import(&shop, &format!(",Cup,,1,1,,{urls}\n"));
        let (out, err) = streams(&output);
        assert_eq!(output.status.code(), Some(0), "{err}");
        assert!(err.contains("new products without images, though their rows list some: 1;"), "{err}");
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&report["created"], &report["withoutImages"]), (&json!(1), &json!(1)));
        shop.raw_db().assert_invariants();
    }

    async fn an_export_file_is_complete_or_absent(shop: TestShop) {
        shop.product("Kettle", 129_900, 5).await;
        let file = write_file(&shop, "out.csv", "what was there");
        let summary = stdout_of(&shop.run(&["admin", "product", "export", &file]));
        assert_eq!(summary, format!("exported 1 product to `{file}`\n"));
        assert_eq!(fs::read_to_string(&file).unwrap(), export(&shop));
        let report = stdout_of(&shop.run(&["admin", "product", "export", &file, "--json"]));
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report, json!({ "products": 1, "file": file }));

        let directory = shop.directory.path().to_str().unwrap();
        let nowhere = format!("{directory}/nowhere/out.csv");
        for (place, word) in [(directory, "directory"), (&nowhere, "nowhere")] {
            let error = failure_of(&shop.run(&["admin", "product", "export", place]));
            assert!(error.contains(word), "{error}");
        }
        let error = usage_failure_of(&shop.run(&["admin", "product", "export", "--json"]));
        assert!(error.contains("list --json"), "{error}");
        let parts = fs::read_dir(directory).unwrap();
        let is_part = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains("part");
        assert_eq!(parts.map(Result::unwrap).filter(is_part).count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_another_format_is_refused() {
    let shop = TestShop::on(crate::support::Engine::Sqlite).await.unwrap();
    let line = "\n,Kettle,,1,1,,\n";
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let wrong: [(Vec<u8>, &[&str]); 14] = [
        (b"".to_vec(), &["line 1: the file is empty", COLUMNS]),
        (
            b"\xef\xbb\xbf\r\n\r\n;;;\r\n".to_vec(),
            &["line 1: the file is empty"],
        ),
        (
            utf16("\u{feff}id"),
            &["line 1: the file is UTF-16", "CSV UTF-8"],
        ),
        (utf16(HEADER), &["line 1: the file is UTF-16", "CSV UTF-8"]),
        (
            b"PK\x03\x04 and more".to_vec(),
            &["line 1: the file is a workbook", "CSV UTF-8"],
        ),
        (
            b"id;name;description|price\n".to_vec(),
            &[
                "`description|price` is unknown",
                "by commas or semicolons",
                COLUMNS,
            ],
        ),
        (
            b"description;stockQuantity\n".to_vec(),
            &[
                "`name` is missing",
                "`price` is missing",
                "existing ones need `id`",
            ],
        ),
        (
            b"\n,,\nid,name,description,price,price,category,colour".to_vec(),
            &[
                "line 3: ",
                "`price` appears more than once",
                "`colour` is unknown",
            ],
        ),
        (
            b"id,name,description,Price,stockQuantity,category,images\n".to_vec(),
            &["`Price` is unknown"],
        ),
        (
            [HEADER.as_bytes(), b"\n,K\xe9ttle,,1,1,,\n"].concat(),
            &["line 2: `name` is not UTF-8; save the file as CSV in UTF-8"],
        ),
        (
            format!("{HEADER}{line},\"Kettle,,1,1,,\n,Pan,,1,1,,\n").into_bytes(),
            &[
                "line 3: a quote is opened and never closed",
                "has 1 invalid line,",
            ],
        ),
        (
            format!("{HEADER}\r\n,\"a\rb\",\"a\nb\",1,1,,\r\n\r\n,K,,x,1,,\r\n").into_bytes(),
            &["line 2: `name`", "line 6: `price`", "has 2 invalid lines,"],
        ),
        (
            format!("{HEADER},,\n,,,,,,,,\n,K,,x,1,,,,\n,,,,\n,K,,1,1,,,,left over\n").into_bytes(),
            &[
                "line 3: `price`",
                "line 5: holds 9 cells",
                "has 2 invalid lines,",
            ],
        ),
        (
            b"name,,price\nKettle,,1\nPan,new,1\n".to_vec(),
            &["line 3: holds a cell in column 2", "has 1 invalid line,"],
        ),
    ];
    for (text, words) in wrong {
        let file = write_file(&shop, "products.csv", text);
        let (bad, error) = refused(&shop.run(&["admin", "product", "import", &file]));
        let all = format!("{}\n{error}", bad.join("\n"));
        for word in words {
            assert!(all.contains(word), "`{word}` in {all}");
        }
    }
    let directory = shop.directory.path().to_str().unwrap();
    for (place, word) in [(directory, "directory"), ("nowhere.csv", "nowhere.csv")] {
        let error = failure_of(&shop.run(&["admin", "product", "import", place]));
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(shop.raw_db().number("SELECT count(*) FROM products"), 0);
}

#[test]
fn columns_may_have_any_order_and_the_input_may_be_a_pipe() {
    let directory = new_shop();
    let csv = "\u{feff}price,images,stockQuantity,name,id,category,description\r\n\
                 129900,, 5 ,Kettle,,Kitchen,\"a\r\nb\"\r\n";
    let arguments = ["admin", "product", "import", "-"];
    let summary = stdout_of(&run_with_input(directory.path(), &arguments, csv));
    assert_eq!(
        summary,
        "products: 1 created, 0 updated, 0 unchanged; categories: 1 created\n"
    );
    let listed = json_of(directory.path(), &["admin", "product", "list"]);
    assert_eq!(
        (&listed[0]["price"], &listed[0]["stockQuantity"]),
        (&json!(129_900), &json!(5))
    );
    assert_eq!(listed[0]["description"], "a\r\nb");
}

#[test]
fn an_export_into_a_closed_pipe_is_not_an_error() {
    let directory = tempfile::tempdir().unwrap();
    stdout_of(&run(
        directory.path(),
        &["admin", "seed", "--products", "2000"],
    ));
    let script = format!(
        "set -o pipefail; '{}' admin product export --data-dir '{}' | head -n 1",
        env!("CARGO_BIN_EXE_shop"),
        directory.path().display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(stdout_of(&output), options::HEADER_WITH_OPTIONS);
}
