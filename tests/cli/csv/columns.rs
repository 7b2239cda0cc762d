//! CSV files from people and spreadsheet programs: subsets of columns, other separators, blank rows and columns.

use super::*;
use crate::support::Client;

/// Creates a product with a value in each field, and returns its id.
async fn full_product(admin: &Client<'_>, name: &str) -> String {
    let category = admin
        .post("/categories", json!({ "name": format!("{name}s") }))
        .await;
    let body = json!({
        "name": name, "description": "Copper bottom", "price": 500, "stockQuantity": 5,
        "categoryId": category.text("/id"),
    });
    admin.post("/products", body).await.text("/id")
}

storage_test! {
    async fn an_import_changes_only_the_columns_in_the_file(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = full_product(&admin, "Kettle").await;
        let pan = full_product(&admin, "Pan").await;
        let before = shown(&shop, &kettle).await.json();
        let columns = [
            ("price", "139900", "/price", json!(139_900)),
            ("name", "Pot", "/name", json!("Pot")),
            ("description", "Boils.", "/description", json!("Boils.")),
            ("description", "", "/description", json!("")),
            ("category", "Garden", "/category/name", json!("Garden")),
            ("category", "", "/category", json!(null)),
            ("stockQuantity", "8", "/stockQuantity", json!(8)),
        ];
        let mut expected = before.clone();
        for (column, cell, pointer, value) in columns {
            let report = imported_file(&shop, &format!("{column},id\n{cell},{kettle}\n"));
            assert_eq!(report["updated"], 1, "{column}");
            let now = shown(&shop, &kettle).await.json();
            assert_eq!(now.pointer(pointer), Some(&value));
            for field in ["name", "slug", "description", "price", "stockQuantity", "category", "categoryId"] {
                let is_its_own = pointer.starts_with(&format!("/{field}"))
                    || (column == "name" && field == "slug")
                    || (column == "category" && field == "categoryId");
                if !is_its_own {
                    assert_eq!(now[field], expected[field], "{field} by {column}");
                }
            }
            expected = now;
        }
        // Empty cells in required columns, and rows that end after the category.
        let csv = format!(
            "id,name,price,stockQuantity,stockAtExport,category,images\n{pan},,,,,Kitchen\n{kettle},,,9,,\n\
             ,Cup,100,4,,\n,Lid,100,,\n{UNKNOWN},Mug,100,5,3,Kitchen\n"
        );
        let output = import_file(&shop, &csv, &[]);
        let (out, err) = streams(&output);
        assert_eq!(err, "rows with `stockQuantity` but without `stockAtExport`: 1; their stock did not change\n");
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&report["created"], &report["unchanged"]), (&json!(3), &json!(1)));
        assert_eq!((&report["updated"], &report["categories"]), (&json!(1), &json!(1)));
        assert_eq!((&report["stockIgnored"], &report["stockSet"]), (&json!(1), &json!(0)));
        assert_eq!(shop.stock(&kettle).await, 8);
        let stock = |name: &str| shop.raw_db().number(&format!("SELECT stock FROM products WHERE name = '{name}'"));
        assert_eq!((stock("Cup"), stock("Lid"), stock("Mug")), (4, 0, 5));
        // The search still finds a product whose name and description are not in the file.
        imported_file(&shop, &format!("id,price\n{pan},700\n"));
        let found = shop.anonymous().get("/products?q=copper+bottom&maxPrice=700").await;
        assert_eq!(found.text("/data/0/id"), pan);
        shop.raw_db().assert_invariants();
        stdout_of(&shop.run(&["verify"]));
    }

    async fn files_of_spreadsheet_programs_are_imported(shop: TestShop) {
        let head = "\u{feff}id,name,description,price,stockQuantity,category,images";
        let files = [
            format!("{head},,\r\n,Teapot,Steel,49900,3,Kitchen,,,\r\n"),
            format!("{head}\r\n,Teapot,Steel,49900,3,Kitchen,\r\n,,,,,,\r\n,,,,,,\r\n"),
            format!("{head}\r\n,Teapot,Steel,49900,3,Kitchen,\r\n").replace(',', ";"),
            format!(",,,,,,,\n  \n{}\n,Teapot,Steel,49900,3,Kitchen,\n", head.trim_start_matches('\u{feff}')),
        ];
        for (number, csv) in (1..).zip(&files) {
            let report = imported_file(&shop, csv);
            assert_eq!(report["created"], 1, "{csv}");
            let listed = shop.anonymous().get("/products?category=kitchen&q=teapot").await;
            assert_eq!(listed.number("/total"), number);
            let teapot = &listed.json()["data"][0];
            assert_eq!(
                (&teapot["description"], &teapot["price"], &teapot["stockQuantity"]),
                (&json!("Steel"), &json!(49_900), &json!(3)),
            );
        }
        // Excel writes semicolons in locales with a decimal comma. Such a file is imported unchanged.
        imported(&shop, ",\"Crème; brûlée\",\"a;b,c\",1,1,,\n");
        let csv = export(&shop);
        assert!(csv.starts_with(EXPORT_HEADER), "{csv}");
        let mut cells = ::csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
        let mut excel = ::csv::WriterBuilder::new()
            .delimiter(b';')
            .terminator(::csv::Terminator::CRLF)
            .from_writer(vec![0xef, 0xbb, 0xbf]);
        for record in cells.records() {
            let record = record.unwrap();
            excel.write_record(record.iter().chain(["", ""])).unwrap();
        }
        excel.write_record([""; 10]).unwrap();
        let excel = String::from_utf8(excel.into_inner().unwrap()).unwrap();
        let report = imported_file(&shop, &excel);
        assert_eq!((&report["unchanged"], &report["updated"], &report["created"]), (&json!(5), &json!(0), &json!(0)));
    }

    async fn formulas_are_escaped_and_unescaped(shop: TestShop) {
        let names = ["=1+1", "+1", "-1", "@SUM(A1)", "'quoted'", "plain - @"];
        let admin = shop.admin().await;
        let texts = ["\t=1", "\r=1", "=cmd|' /C calc'!A0", " =1", "", "+\n"];
        let made = admin.post("/categories", json!({ "name": "=Sums" })).await;
        for (name, text) in names.iter().zip(texts) {
            let body = json!({
                "name": name, "description": text, "price": 1, "categoryId": made.text("/id"),
            });
            assert_eq!(admin.post("/products", body).await.status, 201);
        }
        let csv = export(&shop);
        let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
        let cells: Vec<Vec<String>> = reader
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();
        let mut exported_names: Vec<&str> = cells.iter().map(|cells| cells[1].as_str()).collect();
        exported_names.sort_unstable();
        assert_eq!(
            exported_names,
            ["''quoted'", "'+1", "'-1", "'=1+1", "'@SUM(A1)", "plain - @"],
        );
        for cell in cells.iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
        }
        assert!(cells.iter().all(|cells| cells[6] == "'=Sums"));
        let report = imported_file(&shop, &csv);
        assert_eq!((&report["unchanged"], &report["categories"]), (&json!(6), &json!(0)));
    }
}
