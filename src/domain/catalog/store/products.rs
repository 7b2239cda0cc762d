//! Products, their stock and its movements as rows.

use std::{borrow::Cow, fmt::Write};

use uuid::Uuid;

use super::{
    product_query::{CATEGORY_JOIN, COLUMNS},
    variants::{delete_variants, insert_variants},
};
use crate::{
    core::{
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::{Price, Stock},
        shop_settings::ShopSettings,
    },
    domain::{
        catalog::{
            cache_tags,
            category::CategoryRef,
            product::Product,
            stock::{Cause, Movement, Taken},
        },
        media,
    },
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

/// The columns that an admin sets.
pub(in crate::domain::catalog) struct ProductColumns<'a> {
    pub(in crate::domain::catalog) name: &'a str,
    pub(in crate::domain::catalog) name_key: &'a str,
    pub(in crate::domain::catalog) slug: &'a str,
    pub(in crate::domain::catalog) description: &'a str,
    pub(in crate::domain::catalog) price: Price,
    pub(in crate::domain::catalog) category: Option<CategoryId>,
}

pub(in crate::domain::catalog) fn insert(
    tx: &mut Tx<'_>,
    id: ProductId,
    columns: &ProductColumns<'_>,
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
    cache_tags::invalidate_listed(tx, id);
    insert_variants(tx, &[id])
}

pub(in crate::domain::catalog) fn update(
    tx: &mut Tx<'_>,
    id: ProductId,
    columns: &ProductColumns<'_>,
) -> Result<()> {
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
    cache_tags::invalidate_listed(tx, id);
    Ok(())
}

/// Marks a product and its variants as deleted (soft delete).
pub(in crate::domain::catalog) fn delete(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    tx.execute(
        "UPDATE products SET deleted_at = ?2, updated_at = ?2 WHERE id = ?1",
        params![id, tx.now()],
    )?;
    tx.execute(
        "UPDATE kept_counts SET value = value - 1 WHERE name = 'products'",
        &[],
    )?;
    cache_tags::invalidate_listed(tx, id);
    delete_variants(tx, id)
}

/// Sets the copy of a product's images in its row.
pub(in crate::domain::catalog) fn set_images(
    tx: &mut Tx<'_>,
    id: ProductId,
    images: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE products SET images = ?2 WHERE id = ?1",
        params![id, images],
    )?;
    cache_tags::invalidate_product(tx, id);
    Ok(())
}

/// Adds to the stored number of a category's products.
pub(in crate::domain::catalog) fn add_to_category_count(
    tx: &mut Tx<'_>,
    category: Option<CategoryId>,
    by: i64,
) -> Result<()> {
    if let Some(id) = category {
        tx.execute(
            "UPDATE categories SET product_count = product_count + ?2 WHERE id = ?1",
            params![id, by],
        )?;
        cache_tags::invalidate_lists(tx);
    }
    Ok(())
}

pub(in crate::domain::catalog) fn by_id(
    tx: &mut Tx<'_>,
    id: ProductId,
) -> Result<Option<Product<'static>>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM products p {CATEGORY_JOIN} WHERE p.id = ?1 AND p.deleted_at IS NULL"
    );
    let settings = tx.settings();
    tx.one(&sql, params![id], |row| {
        read_product(row, settings).map(Product::into_owned)
    })
}

/// Locks a product's row. This is a statement of its own because a join is not re-evaluated after waiting for
/// a lock: it would combine the new row with the category of the old one.
pub(in crate::domain::catalog) fn lock_product(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    let sql = Sql::from("SELECT 1 FROM products WHERE id = ?1").for_update("products");
    tx.one(sql, params![id], |_| Ok(())).map(drop)
}

/// Reads a row of [`COLUMNS`], borrowing its texts.
pub(in crate::domain::catalog) fn read_product<'a>(
    row: &Row<'a>,
    settings: &ShopSettings,
) -> Result<Product<'a>> {
    let category = category(row)?;
    Ok(Product {
        id: row.get("id")?,
        name: Cow::Borrowed(row.get("name")?),
        slug: Cow::Borrowed(row.get("slug")?),
        description: Cow::Borrowed(row.get("description")?),
        price: row.get("price")?,
        currency: settings.currency.code(),
        stock_quantity: row.get("stock")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        category_id: category.as_ref().map(|category| category.id),
        category,
        images: media::parse_images(row.get("images")?, &settings.public_url)?,
    })
}

fn category<'a>(row: &Row<'a>) -> Result<Option<CategoryRef<'a>>> {
    let Some(id) = row.get("category_id")? else {
        return Ok(None);
    };
    Ok(Some(CategoryRef {
        id,
        name: Cow::Borrowed(row.get("category_name")?),
        slug: Cow::Borrowed(row.get("category_slug")?),
    }))
}

/// Returns the stock of a product, or `None` if it is deleted.
pub(in crate::domain::catalog) fn stock(tx: &mut Tx<'_>, id: ProductId) -> Result<Option<i64>> {
    let sql = "SELECT stock FROM products WHERE id = ?1 AND deleted_at IS NULL";
    tx.one(Sql::from(sql).for_update("products"), params![id], |row| {
        row.get("stock")
    })
}

/// Adds to the stock of a product and returns the new stock, or `None` if it would leave its bounds or the
/// product is deleted. A decrease checks the lower bound only: returned orders may have raised the stock
/// above its maximum. (`RETURNING` would make `SQLite` use a temporary table; the row is locked anyway.)
pub(in crate::domain::catalog) fn add_stock(
    tx: &mut Tx<'_>,
    id: ProductId,
    delta: i64,
) -> Result<Option<i64>> {
    let changed = tx.execute(
        "UPDATE products SET stock = stock + ?2
         WHERE id = ?1 AND stock + ?2 >= 0 AND (?2 < 0 OR stock + ?2 <= 1000000000)
             AND deleted_at IS NULL",
        params![id, delta],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    cache_tags::invalidate_product(tx, id);
    stock(tx, id)
}

/// Takes the stock of several products in one statement.
pub(in crate::domain::catalog) fn take_stock(tx: &mut Tx<'_>, lines: &[Taken]) -> Result<()> {
    let (mut cases, mut ids) = (String::new(), String::new());
    let mut values: Vec<Value<'_>> = Vec::with_capacity(lines.len() * 2);
    for (index, line) in lines.iter().enumerate() {
        let (id, quantity) = (2 * index + 1, 2 * index + 2);
        // Writing into a `String` cannot fail.
        let _ = write!(cases, " WHEN ?{id} THEN CAST(?{quantity} AS BIGINT)");
        let _ = write!(ids, "{}?{id}", if index == 0 { "" } else { "," });
        values.extend([Value::from(line.product), Value::from(line.quantity)]);
        cache_tags::invalidate_product(tx, line.product);
    }
    let sql = format!(
        "UPDATE products SET stock = stock - CASE id{cases} END
         WHERE id IN ({ids}) AND stock >= CASE id{cases} END AND deleted_at IS NULL"
    );
    tx.expect(&sql, &values, lines.len(), || {
        Error::internal("the stock of a locked product changed")
    })
}

/// Adds returned units to a product's stock, deleted or not, and returns the new stock.
pub(in crate::domain::catalog) fn return_stock(
    tx: &mut Tx<'_>,
    id: ProductId,
    quantity: i64,
) -> Result<i64> {
    cache_tags::invalidate_product(tx, id);
    tx.one(
        "UPDATE products SET stock = stock + ?2 WHERE id = ?1 RETURNING stock",
        params![id, quantity],
        |row| row.get("stock"),
    )?
    .ok_or_else(|| Error::internal("an order refers to a product that never existed"))
}

/// Derives the id of an order's movement from the order's id, with the line number as its last byte, to save
/// generating a random id per line.
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

/// Inserts movements with one statement.
pub(in crate::domain::catalog) fn insert_movements(
    tx: &mut Tx<'_>,
    movements: &[Movement<'_>],
) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(movements.len() * 7);
    for (line, movement) in movements.iter().enumerate() {
        values.extend([
            Value::Id(movement_id(tx, movement, line)),
            movement.product.into(),
            movement.delta.into(),
            movement.cause.into(),
            movement.order.into(),
            movement.note.into(),
            tx.now().into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO stock_movements (id, product_id, delta, cause, order_id, note, at) VALUES {}",
        placeholders(7, movements.len())
    );
    tx.expect(&sql, &values, movements.len(), || {
        Error::internal("a stock movement was not inserted")
    })
}
