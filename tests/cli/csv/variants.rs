//! The columns of variants in CSV files: SKU, barcode, earlier price and weight.

use std::time::Duration;

use super::*;

const VARIANT_HEADER: &str = "\u{feff}id,name,description,price,stockQuantity,stockAtExport,category,images,\
                              sku,barcode,compareAtPrice,weightGrams\n";

/// Returns SKU, barcode, earlier price and weight of the only variant of a product.
async fn variant(shop: &TestShop, product: &str) -> [Value; 4] {
    let shown = shop.anonymous().get(&format!("/variants/{product}")).await;
    let shown = shown.json();
    ["sku", "barcode", "compareAtPrice", "weightGrams"].map(|field| shown[field].clone())
}

storage_test! {
    async fn an_export_with_variants_is_imported_without_loss(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        shop.advance_clock(Duration::from_millis(1));
        let pan = shop.product("Pan", 300, 2).await;
        assert!(export(&shop).starts_with(EXPORT_HEADER), "no variant has a SKU");
        let body = json!({ "sku": "=KET-1", "barcode": "0401", "compareAtPrice": 700, "weightGrams": 0 });
        shop.admin().await.patch(&format!("/variants/{kettle}"), body).await;
        let exported = export(&shop);
        assert_eq!(
            exported,
            format!(
                "{VARIANT_HEADER}{kettle},\"Kettle\",\"\",500,5,5,\"\",\"\",\"'=KET-1\",\"0401\",700,0\n\
                 {pan},\"Pan\",\"\",300,2,2,\"\",\"\",\"\",\"\",,\n"
            )
        );
        assert_eq!(imported_file(&shop, &exported)["unchanged"], 2);
        let other = TestShop::on(shop.engine).await.unwrap();
        assert_eq!(imported_file(&other, &exported)["created"], 2);
        assert_eq!(export(&other), exported);
        stdout_of(&other.run(&["verify"]));
    }

    async fn an_import_changes_only_the_columns_of_variants_in_the_file(shop: TestShop) {
        let (kettle, pan) = (shop.product("Kettle", 500, 5).await, shop.product("Pan", 300, 2).await);
        let csv = format!(
            "id,name,price,sku,barcode,compareAtPrice,weightGrams\n{kettle},,,KET,4006381333931,700,1250\n{pan},,,PAN\n,Lid,90,LID,,,\n"
        );
        let report = imported_file(&shop, &csv);
        assert_eq!((&report["updated"], &report["created"]), (&json!(2), &json!(1)));
        assert_eq!(variant(&shop, &kettle).await, [json!("KET"), json!("4006381333931"), json!(700), json!(1250)]);
        assert_eq!(variant(&shop, &pan).await, [json!("PAN"), Value::Null, Value::Null, Value::Null]);
        assert_eq!(imported_file(&shop, &csv.replace(",Lid,90,LID,,,\n", ""))["unchanged"], 2);
        for q in ["ket", "lid", "PAN"] {
            assert_eq!(shop.anonymous().get(&format!("/products?q={q}")).await.number("/total"), 1, "{q}");
        }
        // A column that is missing changes nothing; an empty cell removes the value.
        assert_eq!(imported_file(&shop, &format!("id,barcode\n{kettle},\n"))["updated"], 1);
        assert_eq!(variant(&shop, &kettle).await, [json!("KET"), Value::Null, json!(700), json!(1250)]);
        assert_eq!(imported_file(&shop, &format!("id,price\n{kettle},400\n"))["updated"], 1);
        assert_eq!(variant(&shop, &kettle).await, [json!("KET"), Value::Null, json!(700), json!(1250)]);
        imported_file(&shop, &format!("id,sku,compareAtPrice,weightGrams\n{kettle},,,\n"));
        assert_eq!(variant(&shop, &kettle).await, [const { Value::Null }; 4]);
        assert_eq!(shop.anonymous().get("/products?sku=ket").await.number("/total"), 0);
        stdout_of(&shop.run(&["verify"]));
    }

    async fn a_sku_belongs_to_one_product_of_a_file_and_of_the_shop(shop: TestShop) {
        let (kettle, pan) = (shop.product("Kettle", 500, 5).await, shop.product("Pan", 300, 2).await);
        imported_file(&shop, &format!("id,sku\n{kettle},ONE\n{pan},TWO\n"));
        let (errors, _) = refused(&import_file(&shop, &format!("id,sku\n{pan},ｏｎｅ\n"), &[]));
        assert_eq!(errors, [format!("line 2: `sku` belongs to product {kettle} already")]);
        let (errors, _) = refused(&import_file(&shop, "name,price,sku\nLid,1,two\nCap,1,new\nCup,1,NEW\n", &[]));
        assert_eq!(errors, ["line 2: `sku` belongs to product ".to_owned() + &pan + " already", "line 4: `sku` is in line 3 already".to_owned()]);
        // Two products exchange theirs.
        assert_eq!(imported_file(&shop, &format!("id,sku\n{kettle},TWO\n{pan},ONE\n"))["updated"], 2);
        assert_eq!((variant(&shop, &kettle).await[0].clone(), variant(&shop, &pan).await[0].clone()), (json!("TWO"), json!("ONE")));
    }

    async fn codes_that_a_spreadsheet_has_changed_are_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        imported_file(&shop, &format!("id,sku,barcode\n{kettle},00123,012345678905\n"));
        for (cells, error) in [
            ("4.00638E+12,012345678905", "`sku` is a number that a spreadsheet has rounded; enter the code again in a column formatted as text"),
            ("00123,\"1,23457E+11\"", "`barcode` is a number that a spreadsheet has rounded; enter the code again in a column formatted as text"),
            ("123,012345678905", "`sku` is `00123` without its leading zeros, which a spreadsheet removes; format the column as text, or leave it out"),
            ("00123,12345678905", "`barcode` is `012345678905` without its leading zeros, which a spreadsheet removes; format the column as text, or leave it out"),
        ] {
            let (errors, _) = refused(&import_file(&shop, &format!("id,sku,barcode\n{kettle},{cells}\n"), &[]));
            assert_eq!(errors, [format!("line 2: {error}")]);
        }
        let csv = format!("id,sku,barcode,compareAtPrice,weightGrams\n{kettle},{},\u{7},x,-1\n", "9".repeat(65));
        let (errors, _) = refused(&import_file(&shop, &csv, &[]));
        for column in ["sku", "barcode", "compareAtPrice", "weightGrams"] {
            assert!(errors[0].contains(&format!("`{column}`")), "{errors:?}");
        }
        assert_eq!(variant(&shop, &kettle).await[..2], [json!("00123"), json!("012345678905")]);
        let (errors, _) = refused(&import_file(&shop, "name,price,sku\nLid,1,4E+12\n", &[]));
        assert!(errors[0].contains("rounded"), "{errors:?}");
        // Other codes are not damage, and a code that the variant has is not refused.
        imported_file(&shop, &format!("id,sku,barcode\n{kettle},124,12E+3\n"));
        assert_eq!(variant(&shop, &kettle).await[..2], [json!("124"), json!("12E+3")]);
        shop.admin().await.patch(&format!("/variants/{kettle}"), json!({ "sku": "4E+12" })).await;
        assert_eq!(imported_file(&shop, &export(&shop))["unchanged"], 1);
    }
}
