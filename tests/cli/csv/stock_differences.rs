//! Imports that change the stock: by a difference since the export, which keeps sales, or to a new value.

use super::*;

const OTHER_UNKNOWN: &str = "01900000-0000-7000-8000-00000000beef";

/// A day in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

storage_test! {
    async fn sales_since_the_export_are_kept(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let csv = export(&shop);
        let row = format!("{kettle},\"Kettle\",\"\",129900,10,10,");
        shop.customer("ada").await.place_order(&kettle, 7).await;

        let report = imported_file(&shop, &edited(&csv, &row, &format!("{kettle},Kettle,,139900,10,10,")));
        assert_eq!((&report["updated"], &report["stockSet"]), (&json!(1), &json!(0)));
        assert_eq!((shop.stock(&kettle).await, price(&shop, &kettle).await), (3, 139_900));
        let twice = imported_file(&shop, &edited(&csv, &row, &format!("{kettle},Kettle,,139900,10,10,")));
        assert_eq!(twice["unchanged"], 1, "a file without differences can be imported again");

        let delivery = edited(&csv, &row, &format!("{kettle},Kettle,,139900,12,10,"));
        assert_eq!(imported_file(&shop, &delivery)["updated"], 1);
        assert_eq!(shop.stock(&kettle).await, 5);
        let raw = shop.raw_db();
        let moved = "SELECT delta FROM stock_movements WHERE cause = 'import'";
        assert_eq!(raw.numbers(moved), [2]);
        let events = shop.events().await;
        assert_eq!(events.last().unwrap()[0]["stockQuantity"], 5, "{events:?}");
        raw.assert_invariants();
        stdout_of(&shop.run(&["verify"]));
    }

    async fn the_same_differences_are_refused_a_second_time(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let pan = shop.product("Pan", 50_000, 10).await;
        let csv = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n{pan},4,10\n");
        assert_eq!(imported_file(&shop, &csv)["updated"], 2);
        let before = shop.raw_db().dump();
        // The same differences in another format and order.
        let again = format!("\u{feff}stockAtExport;stockQuantity;id;price\r\n10;4;{pan};1\r\n;;;\r\n10;15;{kettle};2\r\n");
        for csv in [&csv, &again] {
            let (_, error) = refused(&import_file(&shop, csv, &[]));
            assert!(error.contains("were imported at") && error.contains("--again"), "{error}");
        }
        assert_eq!(shop.raw_db().dump(), before);
        let (_, error) = refused(&import_file(&shop, &csv, &["--again"]));
        assert!(error.contains("nothing was changed"), "{error}");
        assert_eq!(shop.raw_db().dump(), before, "4 pans are fewer than 6");

        let kettles = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n");
        assert_eq!(imported_file(&shop, &kettles)["updated"], 1, "another file");
        stdout_of(&import_file(&shop, &kettles, &["--again"]));
        assert_eq!((shop.stock(&kettle).await, shop.stock(&pan).await), (25, 4));
        refused(&import_file(&shop, &kettles, &[]));
        let raw = shop.raw_db();
        raw.run(&format!("UPDATE imported_sheets SET imported_at = imported_at - {}", 31 * DAY));
        stdout_of(&import_file(&shop, &kettles, &[]));
        assert_eq!(shop.stock(&kettle).await, 30);
        assert_eq!(raw.number("SELECT count(*) FROM imported_sheets"), 1, "expired records are deleted");
        raw.assert_invariants();
    }

    async fn a_failed_import_is_not_recorded(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let csv = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n");
        let last = if shop.database.is_some() { "fresh_events" } else { "events" };
        shop.raw_db().break_table(last);
        failure_of(&import_file(&shop, &csv, &[]));
        shop.raw_db().repair_table(last);
        assert_eq!(shop.stock(&kettle).await, 10);
        assert_eq!(imported_file(&shop, &csv)["updated"], 1);
        assert_eq!(shop.stock(&kettle).await, 15);
    }

    async fn one_of_concurrent_imports_of_a_file_succeeds(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let csv = format!("id,stockQuantity,stockAtExport\n{kettle},15,10\n");
        let file = write_file(&shop, "products.csv", csv);
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
        shop.raw_db().assert_invariants();
    }

    async fn a_difference_below_zero_stock_is_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let pan = shop.product("Pan", 50_000, 999_999_999).await;
        let before = shop.raw_db().dump();
        let csv = format!(
            "id,name,price,stockQuantity,stockAtExport\n{kettle},,,20,31\n{pan},,,12,10\n\
             ,New,1,1000000001,0\n{UNKNOWN},New,1,1000000001,1000000000\n{OTHER_UNKNOWN},New,,1,\n"
        );
        let (bad, _) = refused(&import_file(&shop, &csv, &[]));
        let stock = "`stockQuantity` must be a whole number from 0 to 1000000000";
        assert_eq!(bad, [
            "line 2: `stockQuantity` takes 11 from a stock of 10; count again, or export again".to_owned(),
            "line 3: `stockQuantity` adds 2 to a stock of 999999999; the maximum is 1000000000".to_owned(),
            format!("line 4: {stock}"),
            format!("line 5: {stock}"),
            "line 6: there is no product with this `id`; a new one needs `name` and `price`".to_owned(),
        ]);
        assert_eq!(shop.raw_db().dump(), before);
        // Restocked orders may exceed the maximum. A file that adds nothing is accepted.
        shop.raw_db().run("UPDATE products SET stock = stock + 10 WHERE name = 'Pan'");
        shop.raw_db().run("UPDATE stock_movements SET delta = delta + 10 WHERE delta > 1000");
        let csv = edited(&export(&shop), "50000,", "60000,");
        assert_eq!(imported_file(&shop, &csv)["updated"], 1);
        assert_eq!((shop.stock(&pan).await, price(&shop, &pan).await), (1_000_000_009, 60_000));
    }

    async fn the_summary_counts_products_whose_stock_was_set(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let pan = shop.product("Pan", 50_000, 10).await;
        shop.customer("ada").await.place_order(&kettle, 7).await;
        let file = write_file(&shop, "products.csv", format!("id,price,stockQuantity\n{kettle},1,10\n{pan},1,10\n"));
        let import = ["admin", "product", "import", &file];
        assert_eq!(
            stdout_of(&shop.run(&import)),
            "products: 0 created, 2 updated, 0 unchanged; 1 with their stock set, ignoring sales in the meantime; \
             categories: 0 created\n",
        );
        assert_eq!(shop.stock(&kettle).await, 10);
        assert!(!stdout_of(&shop.run(&import)).contains("stock set"), "the stock is unchanged");
        shop.raw_db().assert_invariants();
    }

    async fn an_import_during_checkouts_loses_no_stock(shop: TestShop) {
        let mut products = Vec::new();
        for number in 0..10 {
            products.push(shop.product(&format!("Cup {number}"), 100, 1000).await);
        }
        let known = products.iter().map(|id| format!("{id},Pot,200,1300,1000,Kitchen\n"));
        let new = (0..2000).map(|number| format!(",Pan {number},9900,{number},,Kitchen\n"));
        let lines: String = known.chain(new).collect();
        let csv = format!("id,name,price,stockQuantity,stockAtExport,category\n{lines}");
        let file = write_file(&shop, "products.csv", csv);
        let (directory, database) = (shop.directory.path().to_owned(), shop.database.clone());
        let importing = tokio::task::spawn_blocking(move || {
            let import = ["admin", "product", "import", &file, "--json"];
            run_on(&directory, database.as_deref(), &import)
        });
        let ada = shop.customer("ada").await;
        let mut sold = vec![0; products.len()];
        for round in 0.. {
            let product = round % products.len();
            ada.add_to_cart(&products[product], 1).await;
            // On a slow machine, the import locks a product for longer than the timeout of an order.
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
        let report: Value = serde_json::from_str(&stdout_of(&importing.await.unwrap())).unwrap();
        assert_eq!((&report["created"], &report["updated"]), (&json!(2000), &json!(10)));
        for (product, sold) in products.iter().zip(sold) {
            assert_eq!(shop.stock(product).await, 1300 - sold, "the import adds 300");
        }
        shop.raw_db().assert_invariants();
        stdout_of(&shop.run(&["verify"]));
    }
}
