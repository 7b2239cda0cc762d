//! The catalog as rows: products here, lists and categories beside.

mod bulk;
mod categories;
mod found;
mod listing;
mod postings;
mod query;
pub(super) mod question;
pub(super) mod search;
mod sheets;
mod verify;

use std::borrow::Cow;

use uuid::Uuid;

pub(super) use self::bulk::{
    Known, Written, count_products, each_listed, insert_all, kept_count, known, update_all,
};
pub(super) use self::categories::{
    categories, categories_by_key, category_by_id, category_keys, delete_category, further_key,
    insert_category, pass_on_key, rename_category, respell_category, set_category_keys,
    slug_is_taken,
};
pub(super) use self::listing::list;
pub use self::listing::{Filters, Reached, Sort};
pub(super) use self::sheets::{delete_sheets_before, record_sheet, sheet_imported_at};
pub(super) use self::verify::{
    counted, impossible_stock, miscounted, moved, recount, recount_category, unbalanced,
};
use super::{CategoryRef, Cause, Movement, Product};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::{Price, Stock},
    },
    domain::media,
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

/// What a product's row shows, `p`'s and its category's; [`product`] reads it.
const COLUMNS: &str = "p.id, p.name, p.slug, p.description, p.price, p.stock, p.created_at,
    p.updated_at, c.id, c.name, c.slug, p.images";

const CATEGORY: &str = "LEFT JOIN categories c ON c.id = p.category_id";

/// The columns that an admin sets.
pub(super) struct Columns<'a> {
    pub name: &'a str,
    pub name_key: &'a str,
    pub slug: &'a str,
    pub description: &'a str,
    pub price: Price,
    pub category: Option<CategoryId>,
}

pub(super) fn insert(
    tx: &mut Tx<'_>,
    id: ProductId,
    columns: &Columns<'_>,
    stock: Stock,
) -> Result<()> {
    tx.execute(
        "INSERT INTO products (id, stock, price, category_id, created_at, updated_at, deleted_at,
                               name, name_key, slug, description)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, NULL, ?6, ?7, ?8, ?9)",
        params![
            id,
            stock,
            columns.price,
            columns.category,
            tx.now(),
            columns.name,
            columns.name_key,
            columns.slug,
            columns.description
        ],
    )?;
    tx.execute(
        "UPDATE kept_counts SET value = value + 1 WHERE name = 'products'",
        &[],
    )?;
    Ok(())
}

pub(super) fn update(tx: &mut Tx<'_>, id: ProductId, columns: &Columns<'_>) -> Result<()> {
    tx.execute(
        "UPDATE products SET price = ?2, category_id = ?3, updated_at = ?4, name = ?5,
             name_key = ?6, slug = ?7, description = ?8
         WHERE id = ?1",
        params![
            id,
            columns.price,
            columns.category,
            tx.now(),
            columns.name,
            columns.name_key,
            columns.slug,
            columns.description
        ],
    )?;
    Ok(())
}

pub(super) fn delete(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    tx.execute(
        "UPDATE products SET deleted_at = ?2, updated_at = ?2 WHERE id = ?1",
        params![id, tx.now()],
    )?;
    tx.execute(
        "UPDATE kept_counts SET value = value - 1 WHERE name = 'products'",
        &[],
    )?;
    Ok(())
}

/// Keeps what a product shows of its pictures.
pub(super) fn keep_images(tx: &mut Tx<'_>, id: ProductId, images: &str) -> Result<()> {
    tx.execute(
        "UPDATE products SET images = ?2 WHERE id = ?1",
        params![id, images],
    )?;
    Ok(())
}

/// Moves the kept count of a category's products.
pub(super) fn count_in(tx: &mut Tx<'_>, category: Option<CategoryId>, by: i64) -> Result<()> {
    if let Some(id) = category {
        tx.execute(
            "UPDATE categories SET product_count = product_count + ?2 WHERE id = ?1",
            params![id, by],
        )?;
    }
    Ok(())
}

pub(super) fn by_id(tx: &mut Tx<'_>, app: &App, id: ProductId) -> Result<Option<Product<'static>>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM products p {CATEGORY} WHERE p.id = ?1 AND p.deleted_at IS NULL"
    );
    tx.one(&sql, params![id], |row| {
        product(row, app).map(Product::into_owned)
    })
}

/// Keeps a product's row for this transaction until its end. By a statement of its own: after a wait
/// for somebody's change, one that joins would show the new row with the category of the old.
pub(super) fn hold(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    let sql = Sql::from("SELECT 1 FROM products WHERE id = ?1").for_update("products");
    tx.one(sql, params![id], |_| Ok(())).map(drop)
}

/// Reads a row of [`COLUMNS`] without a copy of its texts.
fn product<'a>(row: &Row<'a>, app: &App) -> Result<Product<'a>> {
    let category_id: Option<CategoryId> = row.get(8)?;
    let category = match category_id {
        Some(id) => Some(CategoryRef {
            id,
            name: Cow::Borrowed(row.get(9)?),
            slug: Cow::Borrowed(row.get(10)?),
        }),
        None => None,
    };
    Ok(Product {
        id: row.get(0)?,
        name: Cow::Borrowed(row.get(1)?),
        slug: Cow::Borrowed(row.get(2)?),
        description: Cow::Borrowed(row.get(3)?),
        price: row.get(4)?,
        currency: app.config.currency.code(),
        stock_quantity: row.get(5)?,
        images: media::shown(row.get(11)?, &app.public_url)?,
        category_id,
        category,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    })
}

/// The stock of a product that is in the catalog.
pub(super) fn stock(tx: &mut Tx<'_>, id: ProductId) -> Result<Option<i64>> {
    let sql = "SELECT stock FROM products WHERE id = ?1 AND deleted_at IS NULL";
    tx.one(Sql::from(sql).for_update("products"), params![id], |row| {
        row.get(0)
    })
}

/// Changes the stock of a product in the catalog and tells what it is then; none if it would leave
/// its bounds. Taking is bounded below only: what orders give back may have brought it past its most.
/// (`RETURNING` would cost `SQLite` a table of its own; the row is ours until the end.)
pub(super) fn add_stock(tx: &mut Tx<'_>, id: ProductId, delta: i64) -> Result<Option<i64>> {
    let changed = tx.execute(
        "UPDATE products SET stock = stock + ?2
         WHERE id = ?1 AND stock + ?2 >= 0 AND (?2 < 0 OR stock + ?2 <= 1000000000)
             AND deleted_at IS NULL",
        params![id, delta],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    let left = stock(tx, id)?;
    if let Some(left) = left {
        note_if_sold_out(tx, id, left, delta)?;
    }
    Ok(left)
}

/// Puts stock back, in the catalog or not.
pub(super) fn return_stock(tx: &mut Tx<'_>, id: ProductId, quantity: i64) -> Result<i64> {
    let stock = tx
        .one(
            "UPDATE products SET stock = stock + ?2 WHERE id = ?1 RETURNING stock",
            params![id, quantity],
            |row| row.get(0),
        )?
        .ok_or_else(|| Error::internal("an order names a product that was never there"))?;
    note_if_sold_out(tx, id, stock, quantity)?;
    Ok(stock)
}

/// Tells search where a change of stock took the last piece or brought the first.
fn note_if_sold_out(tx: &mut Tx<'_>, id: ProductId, stock: i64, delta: i64) -> Result<()> {
    let is_sold_out = stock == 0;
    if is_sold_out == (stock == delta) {
        return Ok(());
    }
    search::sold_out(tx, id, is_sold_out)
}

/// The movements of an order are known by its id, with the line's place for its last byte: they need
/// no draw of their own.
fn movement_id(tx: &Tx<'_>, movement: &Movement<'_>, line: usize) -> Uuid {
    match (movement.cause, movement.order, u8::try_from(line)) {
        (Cause::Order, Some(order), Ok(line)) => {
            let mut bytes = *order.0.as_bytes();
            bytes[15] = line;
            Uuid::from_bytes(bytes)
        }
        _ => tx.id(),
    }
}

/// Writes movements, all in one statement.
pub(super) fn insert_movements(tx: &mut Tx<'_>, movements: &[Movement<'_>]) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(movements.len() * 7);
    for (line, movement) in movements.iter().enumerate() {
        values.extend([
            Value::Id(movement_id(tx, movement, line)),
            movement.product.into(),
            movement.delta.into(),
            movement.cause.as_str().into(),
            movement.order.into(),
            movement.note.into(),
            tx.now().into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO stock_movements (id, product_id, delta, cause, order_id, note, at) VALUES {}",
        placeholders(7, movements.len())
    );
    tx.execute(&sql, &values)?;
    Ok(())
}
