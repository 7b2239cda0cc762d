//! Many products as rows: read and written by statements for hundreds at once.

use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::{CategoryId, ProductId},
        money::Price,
    },
    domain::catalog::{
        Listed,
        search::entry,
        store::{
            Columns,
            search::{self, Facts},
        },
    },
    infra::db::{Sql, Tx, Value, params, placeholders},
};

/// A product's row that is to be written.
pub(in crate::domain::catalog) struct Written<'a> {
    pub(in crate::domain::catalog) id: ProductId,
    /// When it is made or changed.
    pub(in crate::domain::catalog) at: Timestamp,
    pub(in crate::domain::catalog) stock: i64,
    pub(in crate::domain::catalog) columns: Columns<'a>,
}

/// What stands in a row that an import may change.
pub(in crate::domain::catalog) struct Known<'a> {
    pub(in crate::domain::catalog) id: ProductId,
    pub(in crate::domain::catalog) stock: i64,
    pub(in crate::domain::catalog) price: Price,
    pub(in crate::domain::catalog) category: Option<CategoryId>,
    pub(in crate::domain::catalog) name: &'a str,
    pub(in crate::domain::catalog) description: &'a str,
    pub(in crate::domain::catalog) is_deleted: bool,
}

/// Hands over those of the products that there are, deleted ones among them, and keeps their rows for
/// this transaction.
pub(in crate::domain::catalog) fn known(
    tx: &mut Tx<'_>,
    ids: &[ProductId],
    mut each: impl FnMut(Known<'_>) -> Result<()>,
) -> Result<()> {
    let sql = format!(
        "SELECT id, stock, price, category_id, name, description, deleted_at FROM products
         WHERE id IN {} ORDER BY id",
        placeholders(ids.len(), 1)
    );
    let values: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
    tx.each(Sql::from(&sql).for_update("products"), &values, |row| {
        each(Known {
            id: row.get(0)?,
            stock: row.get(1)?,
            price: row.get(2)?,
            category: row.get(3)?,
            name: row.get(4)?,
            description: row.get(5)?,
            is_deleted: row.get::<Option<i64>>(6)?.is_some(),
        })
    })
}

pub(in crate::domain::catalog) fn insert_all(tx: &mut Tx<'_>, rows: &[Written<'_>]) -> Result<()> {
    write(tx, rows, "")
}

/// Writes rows that are there and held, whatever they were.
pub(in crate::domain::catalog) fn update_all(tx: &mut Tx<'_>, rows: &[Written<'_>]) -> Result<()> {
    write(
        tx,
        rows,
        " ON CONFLICT (id) DO UPDATE SET stock = excluded.stock, price = excluded.price,
             category_id = excluded.category_id, updated_at = excluded.updated_at,
             name = excluded.name, name_key = excluded.name_key, slug = excluded.slug,
             description = excluded.description",
    )
}

fn write(tx: &mut Tx<'_>, rows: &[Written<'_>], where_known: &str) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(rows.len() * 10);
    for row in rows {
        let columns = &row.columns;
        let cells: [Value<'_>; 10] = [
            row.id.into(),
            row.stock.into(),
            columns.price.into(),
            columns.category.into(),
            row.at.into(),
            row.at.into(),
            columns.name.into(),
            columns.name_key.into(),
            columns.slug.into(),
            columns.description.into(),
        ];
        values.extend(cells);
    }
    let sql = format!(
        "INSERT INTO products (id, stock, price, category_id, created_at, updated_at, name, name_key,
                               slug, description)
         VALUES {}{where_known}",
        placeholders(10, rows.len())
    );
    tx.execute(&sql, &values)?;
    let entries = rows
        .iter()
        .map(|row| {
            let columns = &row.columns;
            let facts = Facts {
                category: columns.category,
                price: columns.price,
                is_sold_out: row.stock == 0,
            };
            entry(row.id, columns.name, columns.description, facts)
        })
        .collect();
    search::write(tx, entries)
}

/// How many products the catalog shows.
pub(in crate::domain::catalog) fn kept_count(tx: &mut Tx<'_>) -> Result<i64> {
    let kept = tx.one(
        "SELECT value FROM kept_counts WHERE name = ?1",
        params!["products"],
        |row| row.get(0),
    )?;
    Ok(kept.unwrap_or_default())
}

/// Moves the kept count of the catalog's products.
pub(in crate::domain::catalog) fn count_products(tx: &mut Tx<'_>, by: i64) -> Result<()> {
    if by != 0 {
        tx.execute(
            "UPDATE kept_counts SET value = value + ?1 WHERE name = 'products'",
            params![by],
        )?;
    }
    Ok(())
}

/// Hands over all products of the catalog by id, each with what its row keeps of its pictures. One
/// statement, since pages would each be planned by what is known of a table that was just filled.
pub(in crate::domain::catalog) fn each_listed(
    tx: &mut Tx<'_>,
    mut each: impl FnMut(Listed<'_>, &str) -> Result<()>,
) -> Result<()> {
    let sql = "SELECT p.id, p.name, p.description, p.price, p.stock, c.name, p.images
         FROM products p LEFT JOIN categories c ON c.id = p.category_id
         WHERE p.deleted_at IS NULL ORDER BY p.id";
    tx.each(sql, &[], |row| {
        let listed = Listed {
            id: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            price: row.get(3)?,
            stock: row.get(4)?,
            category: row.get(5)?,
            images: String::new(),
        };
        each(listed, row.get(6)?)
    })
}
