//! CSV export and import: a round trip preserves every text.

use std::sync::Mutex;

use proptest::{
    collection::vec,
    option,
    prelude::{Strategy, any, prop_oneof},
    test_runner::{Config, TestRunner},
};
use shop::{
    core::money::{Currency, Price, Stock},
    domain::catalog::{
        self, CategoryName, Description, ImportFile, ImportSummary, NewProduct, ProductName,
        RowError,
    },
};

use super::*;

/// How many files are tested, one after the other on the same shops.
const CASES: u32 = 24;

#[derive(Debug, Clone)]
struct TestProduct {
    name: String,
    description: String,
    price: i64,
    stock: i64,
    category: Option<String>,
}

/// Generates texts that are hard to represent in CSV.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[=+\\-@'\t\r\n,;\" ]{0,4}[a-z\"',\n\r =]{0,12}",
        "[\u{200b}\u{2060}\u{ad}\u{3164}\u{a0} '\u{ff07}]{0,3}[=+\\-@'\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20};]{0,2}[a-z;]{0,4}",
        "\\PC{0,20}",
        "[\u{feff}\u{a0}\u{2028}é'=]{0,6}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    text().prop_filter_map("no line", |text| {
        let name = ProductName::try_from(text).ok()?;
        Some(name.as_str().to_owned())
    })
}

fn test_product() -> impl Strategy<Value = TestProduct> {
    let category = option::of(prop_oneof![line(), "[=']?[a-c]"]);
    let numbers = (1..=Price::MAX, 0..=Stock::MAX);
    (line(), text(), numbers, category).prop_map(|(name, description, (price, stock), category)| {
        TestProduct {
            name,
            description,
            price,
            stock,
            category,
        }
    })
}

/// Creates the products one by one.
async fn create_all(shop: &TestShop, products: &[TestProduct]) {
    let products = products.to_vec();
    let created = shop.app.db.write("test.make", move |tx| {
        for product in &products {
            let category = product.category.clone().map(CategoryName::try_from);
            let category = match category.transpose().unwrap() {
                None => None,
                Some(name) => Some(match catalog::category_by_name(tx, &name)? {
                    Some(known) => known.id,
                    None => catalog::add_category(tx, &name)?.id,
                }),
            };
            let new = NewProduct {
                name: ProductName::try_from(product.name.clone()).unwrap(),
                description: Description::try_from(product.description.clone()).unwrap(),
                price: Price::try_from(product.price).unwrap(),
                stock: Stock::try_from(product.stock).unwrap(),
                category,
            };
            catalog::create(tx, &new, &[])?;
        }
        Ok(())
    });
    created.await.unwrap();
}

async fn export(shop: &TestShop) -> Vec<u8> {
    let exported = shop.app.db.long_read("test.export", move |tx| {
        let csv = Arc::new(Mutex::new(Vec::new()));
        let mut writer =
            catalog::CsvWriter::new(Shared(Arc::clone(&csv)), catalog::export_columns(tx)?)?;
        catalog::export(tx, |_| {}, |product| writer.write(product))?;
        writer.finish()?;
        Ok(std::mem::take(&mut *csv.lock().unwrap()))
    });
    exported.await.unwrap()
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn import(shop: &TestShop, file: &[u8]) -> Result<ImportSummary, Vec<RowError>> {
    let file = Arc::new(ImportFile::read(file, Currency::INR, |_| {}));
    let db = &shop.app.db;
    let to_plan = Arc::clone(&file);
    let plan = db.long_read("test.plan", move |tx| catalog::plan_import(tx, &to_plan));
    let plan = plan.await.unwrap();
    if !plan.row_errors.is_empty() {
        return Err(plan.row_errors);
    }
    let imported = db.write("test.import", move |tx| {
        catalog::import(tx, &file, &plan, |_| {})
    });
    imported.await.unwrap()
}

/// Returns the rows of the catalog, without the columns that a CSV file lacks.
fn rows(shop: &TestShop) -> Vec<Vec<Option<String>>> {
    let mut rows = shop.raw_db().rows(
        "SELECT p.name, p.name_key, p.slug, p.description, p.price, p.stock, c.name_key
         FROM products p LEFT JOIN categories c ON c.id = p.category_id",
    );
    rows.sort();
    rows
}

storage_test! {
    async fn exporting_and_importing_preserves_everything(shop: TestShop) {
        let other = shop.with_settings(&[("rate_limit", "off")]).await;
        let runtime = tokio::runtime::Handle::current();
        let check = async |products: Vec<TestProduct>| {
            create_all(&shop, &products).await;
            let csv = export(&shop).await;
            let again = import(&shop, &csv).await.unwrap();
            assert_eq!((again.created, again.updated, again.categories), (0, 0, 0));
            let moved = import(&other, &csv).await.unwrap();
            assert_eq!((moved.created, moved.updated), (products.len(), 0));
            assert_eq!(rows(&shop), rows(&other));
            assert_eq!(
                String::from_utf8_lossy(&csv),
                String::from_utf8_lossy(&export(&other).await),
            );
        };
        let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        tokio::task::block_in_place(|| {
            let products = vec(test_product(), 1..8);
            runner
                .run(&products, |products| {
                    runtime.block_on(check(products));
                    Ok(())
                })
                .unwrap();
        });
        shop.raw_db().assert_invariants();
        other.raw_db().assert_invariants();
    }
}

/// Splits a file into cells at both `,` and `;`, as the strictest spreadsheet would.
fn cells(csv: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in csv.chars() {
        let cell = cells.last_mut().unwrap();
        match c {
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => {
                quoted = true;
                cell.push('"');
            }
            // A doubled quote is part of the text.
            '"' if cell.starts_with('"') => {
                quoted = true;
                cell.push('"');
            }
            ',' | ';' | '\n' if !quoted => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    let text = |cell: &String| cell.strip_prefix('"').unwrap_or(cell).to_owned();
    cells.iter().map(text).collect()
}

/// Returns whether a spreadsheet may run the cell: after invisible characters it has a formula sign.
fn is_runnable(cell: &str) -> bool {
    let hidden = |c: char| {
        c.is_whitespace() || c.is_control() || "\u{200b}\u{2060}\u{ad}\u{3164}\u{feff}".contains(c)
    };
    cell.trim_start_matches(hidden).starts_with([
        '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ])
}

storage_test! {
    async fn no_exported_cell_is_a_formula(shop: TestShop) {
        let hidden = ["", " ", "\t", "\r", "\n", "\u{feff}", "\u{200b} ", "\u{3164}", "\u{ad}\u{2060}"];
        let signs = ["=", "+", "-", "@", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}"];
        let mut texts: Vec<String> = Vec::new();
        for sign in signs {
            texts.extend(hidden.iter().map(|hidden| format!("{hidden}{sign}1+1")));
            texts.push(format!("a;{sign}1+1"));
            texts.push(format!("a\";{sign}1+1"));
            texts.push(format!("'{sign}1+1"));
        }
        texts.extend(["'tis", "''quoted", "\u{ff07}x", "O'Neill", "plain", "5"].map(str::to_owned));
        let products = texts.iter().map(|text| TestProduct {
            name: text.trim().to_owned(), description: text.clone(), price: 1, stock: 0, category: None,
        });
        // Names have no control characters.
        let products: Vec<_> = products
            .map(|test_product| match ProductName::try_from(test_product.name.clone()) {
                Ok(_) => test_product,
                Err(_) => TestProduct { name: "Kettle".to_owned(), ..test_product },
            })
            .collect();
        create_all(&shop, &products).await;
        let csv = export(&shop).await;
        let text = String::from_utf8(csv.clone()).unwrap();
        for cell in cells(&text) {
            assert!(!is_runnable(&cell), "{cell:?}");
        }
        assert!(text.contains(",\"O'Neill\",\"O'Neill\",1,0,0,\"\",\"\"\n"), "{text}");
        assert!(text.contains(",\"''tis\",\"''tis\",1,0,"), "{text}");
        let other = shop.with_settings(&[("rate_limit", "off")]).await;
        import(&other, &csv).await.unwrap();
        assert_eq!(rows(&shop), rows(&other));
    }

    async fn an_import_is_remembered_for_thirty_days(shop: TestShop) {
        let kettle = shop.product("Kettle", 100, 10).await;
        let csv = format!("id,stockQuantity,stockAtExport\n{kettle},11,10\n");
        import(&shop, csv.as_bytes()).await.unwrap();
        let remembered = || shop.raw_db().number("SELECT count(*) FROM imported_sheets");
        let day = std::time::Duration::from_hours(24);
        for (elapsed, left) in [(day * 30, 1), (day, 0)] {
            shop.advance_clock(elapsed);
            shop::worker::clean_up(&shop.app).await;
            assert_eq!(remembered(), left);
        }
    }

    async fn an_ordinary_apostrophe_is_kept(shop: TestShop) {
        let csv = "id,name,description,price,stockQuantity,category,images\n\
                     ,'tis,'=1+1,1,0,'Books,\n,''tis,'\u{200b}@x,1,0,'+Books,\n";
        import(&shop, csv.as_bytes()).await.unwrap();
        let mut texts: Vec<_> = rows(&shop).into_iter().map(|row| (row[0].clone().unwrap(), row[3].clone().unwrap())).collect();
        texts.sort();
        assert_eq!(texts, [("'tis".to_owned(), "=1+1".to_owned()), ("'tis".to_owned(), "\u{200b}@x".to_owned())]);
        let mut categories: Vec<_> = rows(&shop).into_iter().map(|row| row[6].clone().unwrap()).collect();
        categories.sort();
        assert_eq!(categories, ["'books", "+books"]);
    }
}

#[test]
fn line_numbers_match_those_of_an_editor() {
    let head = "id,name,description,price,stockQuantity,category,images";
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::default()
    });
    let ends = prop_oneof!["\n", "\r\n", "\r"];
    let piece = prop_oneof!["", "[a-c]", "\"[\r\n,a]{0,4}\"", "(\n){1,3}", "(\r\n){1,2}"];
    let strategy = (ends, vec(piece, 0..6), any::<bool>());
    runner
        .run(&strategy, |(end, pieces, has_bom)| {
            // A quote must start its cell.
            let pieces = pieces.join(",");
            let bom = if has_bom { "\u{feff}" } else { "" };
            let before = format!("{bom}{head}{end}{pieces}{end}");
            let file = format!("{before},Kettle,,free,0,,");
            let parsed = ImportFile::read(file.as_bytes(), Currency::INR, |_| {});
            // Counts the line ends before the row, each kind as one.
            let plain = before.replace("\r\n", "\n").replace('\r', "\n");
            let line = plain.matches('\n').count() as u64 + 1;
            let last = parsed.row_errors().last().unwrap();
            assert_eq!(
                (last.line, last.why.contains("`price`")),
                (line, true),
                "{file:?}"
            );
            Ok(())
        })
        .unwrap();
}
