//! Sheets of products, taken over and given out by the real program.

mod columns;
mod stock;

use super::*;
use crate::support::{TestShop, live::Served, run_on, storage_test};

const HEAD: &str = "id,name,description,price,stockQuantity,category,images";

/// How an export begins.
const EXPORTED: &str =
    "\u{feff}id,name,description,price,stockQuantity,stockAtExport,category,images\n";

/// The columns as errors name them.
const HEAD_OF_ERRORS: &str =
    "id,name,description,price,stockQuantity,stockAtExport,category,images";

const UNKNOWN: &str = "01900000-0000-7000-8000-00000000cafe";

fn keep(shop: &TestShop, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = shop.directory.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs the import of these lines under the usual first one.
fn import(shop: &TestShop, lines: &str) -> Output {
    import_sheet(shop, &format!("{HEAD}\n{lines}"), &[])
}

fn import_sheet(shop: &TestShop, sheet: &str, flags: &[&str]) -> Output {
    let file = keep(shop, "sheet.csv", sheet);
    shop.run(&[&["admin", "product", "import", &file, "--json"][..], flags].concat())
}

#[track_caller]
fn imported(shop: &TestShop, lines: &str) -> Value {
    serde_json::from_str(&said(&import(shop, lines))).unwrap()
}

#[track_caller]
fn imported_sheet(shop: &TestShop, sheet: &str) -> Value {
    serde_json::from_str(&said(&import_sheet(shop, sheet, &[]))).unwrap()
}

/// The sheet after another text was put in the place of the one that it must hold.
#[track_caller]
fn edited(sheet: &str, from: &str, to: &str) -> String {
    assert!(sheet.contains(from), "{from} in {sheet}");
    sheet.replace(from, to)
}

/// What an import that must fail says: the bad lines, and the last word.
#[track_caller]
fn refused(output: &Output) -> (Vec<String>, String) {
    let (out, err) = texts(output);
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{err}");
    let mut lines: Vec<String> = err.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap();
    let why = last
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("{err}"));
    (lines, why.to_owned())
}

fn export(shop: &TestShop) -> String {
    said(&shop.run(&["admin", "product", "export"]))
}

async fn price(shop: &TestShop, id: &str) -> i64 {
    shown(shop, id).await.number("/price")
}

async fn shown(shop: &TestShop, id: &str) -> Answer {
    shop.anonymous().get(&format!("/products/{id}")).await
}

storage_test! {
    async fn a_sheet_creates_and_updates_and_leaves_the_rest(shop: TestShop) {
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
        let told = imported(&shop, &lines);
        assert_eq!(told, json!({
            "created": 2, "updated": 2, "unchanged": 1, "categories": 2, "withoutImages": 0,
            "stockSet": 2, "stockIgnored": 0,
        }));

        let changed = shown(&shop, &kettle).await;
        assert_eq!((changed.number("/price"), changed.number("/stockQuantity")), (139_900, 9));
        assert_eq!(changed.text("/description"), "Boils.");
        assert_eq!(changed.text("/category/name"), "Kitchen");
        assert_ne!(changed.text("/updatedAt"), changed.text("/createdAt"));
        let left = shown(&shop, &pan).await;
        assert_eq!(left.text("/updatedAt"), left.text("/createdAt"), "left alone");
        assert_eq!(shown(&shop, UNKNOWN).await.text("/name"), "Cushion");
        let kitchen = shop.anonymous().get("/products?category=kitchen&sort=name").await;
        assert_eq!(kitchen.number("/total"), 2);
        assert_eq!(kitchen.text("/data/1/name"), "New Cup");
        assert_eq!(kitchen.text("/data/1/description"), "Holds \"tea\",\nand coffee");

        let mut heard: Vec<(String, i64)> = Vec::new();
        while heard.len() < 4 {
            for product in listener.hear().await["products"].as_array().unwrap() {
                let id = product["id"].as_str().unwrap().to_owned();
                heard.push((id, product["stockQuantity"].as_i64().unwrap()));
            }
        }
        let cup = kitchen.text("/data/1/id");
        let mut expected =
            vec![(kettle, 9), (lamp, 1), (cup, 40), (UNKNOWN.to_owned(), 0)];
        heard.sort();
        expected.sort();
        assert_eq!(heard, expected, "every change of stock is announced, and nothing else");

        let raw = shop.raw_db();
        let moved = "SELECT delta FROM stock_movements WHERE cause = 'import' ORDER BY delta";
        assert_eq!(raw.numbers(moved), [-1, 0, 4, 40]);
        raw.assert_sound();
        served.stopped().await;
    }

    async fn every_bad_line_is_named_and_nothing_is_changed(shop: TestShop) {
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
        let (bad, why) = refused(&import(&shop, &lines));
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
            "line 15: `id` is that of a product that was deleted; leave it empty to make a new one"
                .to_owned(),
            "line 16: holds 4 cells; the first line has 7".to_owned(),
            "line 17: `images` must hold URLs, separated by spaces, or nothing".to_owned(),
        ]);
        assert!(why.starts_with("11 lines of `"), "{why}");
        assert!(why.ends_with("are wrong, named above; nothing was changed"), "{why}");
        assert_eq!(shop.raw_db().dump(), before);
    }

    async fn an_import_that_breaks_off_leaves_nothing(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let before = shop.raw_db().dump();
        let cups = (0..1200).map(|number| format!(",Cup {number},,9900,{number},Cups,\n"));
        let lines: String = [format!("{kettle},Kettle,,1,7,Kitchen,\n")].into_iter().chain(cups).collect();
        // What is written last.
        let last = if shop.database.is_some() { "fresh_events" } else { "events" };
        shop.raw_db().break_table(last);
        let why = why_failed(&import(&shop, &lines));
        assert!(!why.is_empty());
        shop.raw_db().mend_table(last);
        assert_eq!(shop.raw_db().dump(), before);

        let told = imported(&shop, &lines);
        assert_eq!(
            (&told["created"], &told["updated"], &told["categories"]),
            (&json!(1200), &json!(1), &json!(2)),
        );
        shop.raw_db().assert_sound();
        let told = imported_sheet(&shop, &export(&shop));
        assert_eq!(told["unchanged"], 1201);
    }

    async fn a_known_product_keeps_its_pictures_and_a_new_one_has_none(shop: TestShop) {
        let picture = keep(&shop, "kettle.png", pictures::png());
        let add = [
            "admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "1",
        ];
        said(&shop.run(&[&add[..], &["--image", &picture, "--image", &picture]].concat()));
        let sheet = export(&shop);
        let (id, urls) = {
            let line = sheet.lines().nth(1).unwrap();
            let urls = line.rsplit(',').next().unwrap().trim_matches('"');
            (line.split(',').next().unwrap(), urls)
        };
        let images = shown(&shop, id).await.json()["images"].clone();
        let keys = urls.split(' ').map(|url| url.rsplit('/').next().unwrap());
        let shown_keys = images.as_array().unwrap().iter();
        assert!(keys.eq(shown_keys.map(|image| {
            image["url"].as_str().unwrap().rsplit('/').next().unwrap()
        })));

        let told = imported(&shop, &format!("{id},Pot,,1,1,,https://elsewhere.example/a.png\n"));
        assert_eq!(told["updated"], 1);
        assert_eq!(shown(&shop, id).await.json()["images"], images);

        let output = import(&shop, &format!(",Cup,,1,1,,{urls}\n"));
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{err}");
        assert!(err.contains("1 new products have no pictures"), "{err}");
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&told["created"], &told["withoutImages"]), (&json!(1), &json!(1)));
        shop.raw_db().assert_sound();
    }

    async fn an_export_is_a_file_whole_or_not_at_all(shop: TestShop) {
        shop.product("Kettle", 129_900, 5).await;
        let file = keep(&shop, "out.csv", "what was there");
        let words = said(&shop.run(&["admin", "product", "export", &file]));
        assert_eq!(words, format!("wrote 1 products to `{file}`\n"));
        assert_eq!(fs::read_to_string(&file).unwrap(), export(&shop));
        let told = said(&shop.run(&["admin", "product", "export", &file, "--json"]));
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told, json!({ "products": 1, "file": file }));

        let directory = shop.directory.path().to_str().unwrap();
        let nowhere = format!("{directory}/nowhere/out.csv");
        for (place, word) in [(directory, "directory"), (&nowhere, "nowhere")] {
            let why = why_failed(&shop.run(&["admin", "product", "export", place]));
            assert!(why.contains(word), "{why}");
        }
        let why = why_refused(&shop.run(&["admin", "product", "export", "--json"]));
        assert!(why.contains("list --json"), "{why}");
        let parts = fs::read_dir(directory).unwrap();
        let is_part = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains("part");
        assert_eq!(parts.map(Result::unwrap).filter(is_part).count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_sheet_says_what_it_should_be() {
    let shop = TestShop::on(crate::support::Engine::Sqlite).await.unwrap();
    let line = "\n,Kettle,,1,1,,\n";
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let wrong: [(Vec<u8>, &[&str]); 14] = [
        (b"".to_vec(), &["line 1: the file is empty", HEAD_OF_ERRORS]),
        (
            b"\xef\xbb\xbf\r\n\r\n;;;\r\n".to_vec(),
            &["line 1: the file is empty"],
        ),
        (
            utf16("\u{feff}id"),
            &["line 1: the file is UTF-16", "CSV UTF-8"],
        ),
        (utf16(HEAD), &["line 1: the file is UTF-16", "CSV UTF-8"]),
        (
            b"PK\x03\x04 and more".to_vec(),
            &["line 1: the file is a workbook", "CSV UTF-8"],
        ),
        (
            b"id;name;description|price\n".to_vec(),
            &[
                "`description|price` is unknown",
                "by commas or semicolons",
                HEAD_OF_ERRORS,
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
            [HEAD.as_bytes(), b"\n,K\xe9ttle,,1,1,,\n"].concat(),
            &["line 2: `name` is not UTF-8; save the file as CSV in UTF-8"],
        ),
        (
            format!("{HEAD}{line},\"Kettle,,1,1,,\n,Pan,,1,1,,\n").into_bytes(),
            &["line 3: a quote is opened and never closed", "1 lines of"],
        ),
        (
            format!("{HEAD}\r\n,\"a\rb\",\"a\nb\",1,1,,\r\n\r\n,K,,x,1,,\r\n").into_bytes(),
            &["line 2: `name`", "line 6: `price`", "2 lines of"],
        ),
        (
            format!("{HEAD},,\n,,,,,,,,\n,K,,x,1,,,,\n,,,,\n,K,,1,1,,,,left over\n").into_bytes(),
            &["line 3: `price`", "line 5: holds 9 cells", "2 lines of"],
        ),
        (
            b"name,,price\nKettle,,1\nPan,new,1\n".to_vec(),
            &["line 3: holds a cell in column 2", "1 lines of"],
        ),
    ];
    for (text, words) in wrong {
        let file = keep(&shop, "sheet.csv", text);
        let (bad, why) = refused(&shop.run(&["admin", "product", "import", &file]));
        let all = format!("{}\n{why}", bad.join("\n"));
        for word in words {
            assert!(all.contains(word), "`{word}` in {all}");
        }
    }
    let directory = shop.directory.path().to_str().unwrap();
    for (place, word) in [(directory, "directory"), ("nowhere.csv", "nowhere.csv")] {
        let why = why_failed(&shop.run(&["admin", "product", "import", place]));
        assert!(why.contains(word), "{why}");
    }
    assert_eq!(shop.raw_db().number("SELECT count(*) FROM products"), 0);
}

#[test]
fn columns_stand_in_any_order_and_a_sheet_may_come_through_a_pipe() {
    let directory = new_shop();
    let sheet = "\u{feff}price,images,stockQuantity,name,id,category,description\r\n\
                 129900,, 5 ,Kettle,,Kitchen,\"a\r\nb\"\r\n";
    let arguments = ["admin", "product", "import", "-"];
    let words = said(&run_with_input(directory.path(), &arguments, sheet));
    assert_eq!(
        words,
        "made 1 products, changed 0, left 0 as they were; made 1 categories\n"
    );
    let listed = told(directory.path(), &["admin", "product", "list"]);
    assert_eq!(
        (&listed[0]["price"], &listed[0]["stockQuantity"]),
        (&json!(129_900), &json!(5))
    );
    assert_eq!(listed[0]["description"], "a\r\nb");
}

#[test]
fn an_export_that_nobody_reads_on_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    said(&run(
        directory.path(),
        &["admin", "seed", "--products", "2000"],
    ));
    let script = format!(
        "set -o pipefail; '{}' admin product export --data-dir '{}' | head -n 1",
        env!("CARGO_BIN_EXE_shop"),
        directory.path().display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(said(&output), EXPORTED);
}
