//! Sheets that change stock: by differences, which keep what was sold, or by setting it.

use super::*;

const UNKNOWN_TOO: &str = "01900000-0000-7000-8000-00000000beef";

/// In milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

storage_test! {
    async fn what_was_sold_since_an_export_stays_sold(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let sheet = export(&shop);
        let row = format!("{kettle},\"Kettle\",\"\",129900,10,10,");
        shop.customer("ada").await.place_order(&kettle, 7).await;

        let told = imported_sheet(&shop, &edited(&sheet, &row, &format!("{kettle},Kettle,,139900,10,10,")));
        assert_eq!((&told["updated"], &told["stockSet"]), (&json!(1), &json!(0)));
        assert_eq!((shop.stock(&kettle).await, price(&shop, &kettle).await), (3, 139_900));
        let twice = imported_sheet(&shop, &edited(&sheet, &row, &format!("{kettle},Kettle,,139900,10,10,")));
        assert_eq!(twice["unchanged"], 1, "a sheet without differences may come again");

        let delivery = edited(&sheet, &row, &format!("{kettle},Kettle,,139900,12,10,"));
        assert_eq!(imported_sheet(&shop, &delivery)["updated"], 1);
        assert_eq!(shop.stock(&kettle).await, 5);
        let raw = shop.raw_db();
        let moved = "SELECT delta FROM stock_movements WHERE cause = 'import'";
        assert_eq!(raw.numbers(moved), [2]);
        let events = shop.events().await;
        assert_eq!(events.last().unwrap()[0]["stockQuantity"], 5, "{events:?}");
        raw.assert_sound();
        said(&shop.run(&["verify"]));
    }

    async fn differences_of_stock_are_not_applied_twice_by_mistake(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let pan = shop.product("Pan", 50_000, 10).await;
        let sheet = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n{pan},4,10\n");
        assert_eq!(imported_sheet(&shop, &sheet)["updated"], 2);
        let before = shop.raw_db().dump();
        // The same differences, written and sorted in another way.
        let again = format!("\u{feff}stockAtExport;stockQuantity;id;price\r\n10;4;{pan};1\r\n;;;\r\n10;15;{kettle};2\r\n");
        for sheet in [&sheet, &again] {
            let (_, why) = refused(&import_sheet(&shop, sheet, &[]));
            assert!(why.contains("were imported at") && why.contains("--again"), "{why}");
        }
        assert_eq!(shop.raw_db().dump(), before);
        let (_, why) = refused(&import_sheet(&shop, &sheet, &["--again"]));
        assert!(why.contains("nothing was changed"), "{why}");
        assert_eq!(shop.raw_db().dump(), before, "4 pans less than 4 - 6");

        let kettles = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n");
        assert_eq!(imported_sheet(&shop, &kettles)["updated"], 1, "another sheet");
        said(&import_sheet(&shop, &kettles, &["--again"]));
        assert_eq!((shop.stock(&kettle).await, shop.stock(&pan).await), (25, 4));
        refused(&import_sheet(&shop, &kettles, &[]));
        let raw = shop.raw_db();
        raw.run(&format!("UPDATE imported_sheets SET imported_at = imported_at - {}", 31 * DAY));
        said(&import_sheet(&shop, &kettles, &[]));
        assert_eq!(shop.stock(&kettle).await, 30);
        assert_eq!(raw.number("SELECT count(*) FROM imported_sheets"), 1, "older ones are deleted");
        raw.assert_sound();
    }

    async fn an_import_that_fails_is_not_remembered(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let sheet = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n");
        let last = if shop.database.is_some() { "fresh_events" } else { "events" };
        shop.raw_db().break_table(last);
        why_failed(&import_sheet(&shop, &sheet, &[]));
        shop.raw_db().mend_table(last);
        assert_eq!(shop.stock(&kettle).await, 10);
        assert_eq!(imported_sheet(&shop, &sheet)["updated"], 1);
        assert_eq!(shop.stock(&kettle).await, 15);
    }

    async fn of_two_imports_of_one_sheet_at_once_one_is_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let sheet = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n");
        let file = keep(&shop, "sheet.csv", sheet);
        let imports = (0..4).map(|_| {
            let (directory, database) = (shop.directory.path().to_owned(), shop.database.clone());
            let file = file.clone();
            tokio::task::spawn_blocking(move || {
                let import = ["admin", "product", "import", &file];
                run_on(&directory, database.as_deref(), &import).status.code()
            })
        });
        let mut codes: Vec<_> = futures_util::future::join_all(imports).await;
        codes.sort_by_key(|code| *code.as_ref().unwrap());
        let codes: Vec<_> = codes.into_iter().map(Result::unwrap).collect();
        assert_eq!(codes, [Some(0), Some(1), Some(1), Some(1)]);
        assert_eq!(shop.stock(&kettle).await, 15);
        shop.raw_db().assert_sound();
    }

    async fn stock_that_would_fall_below_zero_refuses_its_line(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let pan = shop.product("Pan", 50_000, 999_999_999).await;
        let before = shop.raw_db().dump();
        let sheet = format!(
            "id,name,price,stockQuantity,stockAtExport\n{kettle},,,20,31\n{pan},,,12,10\n\
             ,New,1,1000000001,0\n{UNKNOWN},New,1,1000000001,1000000000\n{UNKNOWN_TOO},New,,1,\n"
        );
        let (bad, _) = refused(&import_sheet(&shop, &sheet, &[]));
        let stock = "`stockQuantity` must be a whole number from 0 to 1000000000";
        assert_eq!(bad, [
            "line 2: `stockQuantity` takes 11 from a stock of 10; count again, or export again".to_owned(),
            "line 3: `stockQuantity` adds 2 to a stock of 999999999; the most is 1000000000".to_owned(),
            format!("line 4: {stock}"),
            format!("line 5: {stock}"),
            "line 6: there is no product with this `id`; a new one needs `name` and `price`".to_owned(),
        ]);
        assert_eq!(shop.raw_db().dump(), before);
        // What orders put back may exceed what can be set; a sheet that does not add to it is fine.
        shop.raw_db().run("UPDATE products SET stock = stock + 10 WHERE name = 'Pan'");
        shop.raw_db().run("UPDATE stock_movements SET delta = delta + 10 WHERE delta > 1000");
        let sheet = edited(&export(&shop), "50000,", "60000,");
        assert_eq!(imported_sheet(&shop, &sheet)["updated"], 1);
        assert_eq!((shop.stock(&pan).await, price(&shop, &pan).await), (1_000_000_009, 60_000));
    }

    async fn the_summary_counts_what_stock_was_set(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let pan = shop.product("Pan", 50_000, 10).await;
        shop.customer("ada").await.place_order(&kettle, 7).await;
        let file = keep(&shop, "sheet.csv", format!("id,price,stockQuantity\n{kettle},1,10\n{pan},1,10\n"));
        let import = ["admin", "product", "import", &file];
        assert_eq!(
            said(&shop.run(&import)),
            "made 0 products, changed 2, left 0 as they were; made 0 categories; set the stock of 1 \
             products, whatever was sold meanwhile\n",
        );
        assert_eq!(shop.stock(&kettle).await, 10);
        assert!(!said(&shop.run(&import)).contains("set the stock"), "nothing was");
        shop.raw_db().assert_sound();
    }

    async fn an_import_beside_buyers_loses_no_piece(shop: TestShop) {
        let mut products = Vec::new();
        for number in 0..10 {
            products.push(shop.product(&format!("Cup {number}"), 100, 1000).await);
        }
        let known = products.iter().map(|id| format!("{id},Pot,200,1300,1000,Kitchen\n"));
        let new = (0..2000).map(|number| format!(",Pan {number},9900,{number},,Kitchen\n"));
        let lines: String = known.chain(new).collect();
        let sheet = format!("id,name,price,stockQuantity,stockAtExport,category\n{lines}");
        let file = keep(&shop, "sheet.csv", sheet);
        let (directory, database) = (shop.directory.path().to_owned(), shop.database.clone());
        let importing = tokio::task::spawn_blocking(move || {
            let import = ["admin", "product", "import", &file, "--json"];
            run_on(&directory, database.as_deref(), &import)
        });
        let ada = shop.customer("ada").await;
        let mut sold = vec![0; products.len()];
        for turn in 0.. {
            let product = turn % products.len();
            ada.add_to_cart(&products[product], 1).await;
            // On a slow machine the import holds a product for longer than an order waits.
            let mut placed = ada.checkout().await;
            while placed.status == 503 {
                placed = ada.checkout().await;
            }
            assert_eq!(placed.status, 201, "{placed:?}");
            sold[product] += 1;
            if importing.is_finished() {
                break;
            }
        }
        let told: Value = serde_json::from_str(&said(&importing.await.unwrap())).unwrap();
        assert_eq!((&told["created"], &told["updated"]), (&json!(2000), &json!(10)));
        for (product, sold) in products.iter().zip(sold) {
            assert_eq!(shop.stock(product).await, 1300 - sold, "300 came in");
        }
        shop.raw_db().assert_sound();
        said(&shop.run(&["verify"]));
    }
}
