//! Reads and writes products in batches, hundreds of rows per statement.

use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::{CategoryId, ProductId},
        money::Price,
    },
    domain::catalog::{cache_tags, csv::ExportRow, options::VariantOptions, store::ProductColumns},
    infra::db::{Sql, Tx, Value, params, placeholders},
};

/// A product's row to write.
pub(in crate::domain::catalog) struct ProductRow<'a> {
    pub(in crate::domain::catalog) id: ProductId,
    /// The creation time of a new product, the update time of an existing one.
    pub(in crate::domain::catalog) at: Timestamp,
    pub(in crate::domain::catalog) stock: i64,
    pub(in crate::domain::catalog) columns: ProductColumns<'a>,
}

/// The columns of an existing product that an import may change.
pub(in crate::domain::catalog) struct CurrentProduct<'a> {
    pub(in crate::domain::catalog) id: ProductId,
    pub(in crate::domain::catalog) stock: i64,
    pub(in crate::domain::catalog) price: Price,
    pub(in crate::domain::catalog) category: Option<CategoryId>,
    pub(in crate::domain::catalog) name: &'a str,
    pub(in crate::domain::catalog) description: &'a str,
    pub(in crate::domain::catalog) is_deleted: bool,
    /// JSON, by `ProductOptions`.
    pub(in crate::domain::catalog) options: &'a str,
}

impl CurrentProduct<'_> {
    pub(in crate::domain::catalog) fn has_options(&self) -> bool {
        self.options != "[]"
    }
}

/// Locks the existing products among these, deleted ones included, and calls `each` with every row.
pub(in crate::domain::catalog) fn lock_products(
    tx: &mut Tx<'_>,
    ids: &[ProductId],
    mut each: impl FnMut(CurrentProduct<'_>) -> Result<()>,
) -> Result<()> {
    let sql = format!(
        "SELECT id, stock, price, category_id, name, description, deleted_at, options FROM products
         WHERE id IN {} ORDER BY id",
        placeholders(ids.len(), 1)
    );
    let values: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
    tx.each(Sql::from(&sql).for_update("products"), &values, |row| {
        each(CurrentProduct {
            id: row.get("id")?,
            stock: row.get("stock")?,
            price: row.get("price")?,
            category: row.get("category_id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            is_deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
            options: row.get("options")?,
        })
    })
}

/// Inserts products. Their variants must follow.
pub(in crate::domain::catalog) fn insert_all(
    tx: &mut Tx<'_>,
    rows: &[ProductRow<'_>],
) -> Result<()> {
    write(tx, rows, "")
}

/// Overwrites existing rows by an upsert. They must be locked.
pub(in crate::domain::catalog) fn update_all(
    tx: &mut Tx<'_>,
    rows: &[ProductRow<'_>],
) -> Result<()> {
    write(
        tx,
        rows,
        " ON CONFLICT (id) DO UPDATE SET stock = excluded.stock, price = excluded.price,
             category_id = excluded.category_id, updated_at = excluded.updated_at,
             name = excluded.name, name_key = excluded.name_key, slug = excluded.slug,
             description = excluded.description",
    )
}

fn write(tx: &mut Tx<'_>, rows: &[ProductRow<'_>], on_conflict: &str) -> Result<()> {
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
        cache_tags::invalidate_listed(tx, row.id);
    }
    let sql = format!(
        "INSERT INTO products (id, stock, price, category_id, created_at, updated_at, name, name_key,
                               slug, description)
         VALUES {}{on_conflict}",
        placeholders(10, rows.len())
    );
    tx.execute(&sql, &values)?;
    Ok(())
}

/// Returns the stored number of products.
pub(in crate::domain::catalog) fn product_count(tx: &mut Tx<'_>) -> Result<i64> {
    let count = tx.one(
        "SELECT value FROM kept_counts WHERE name = ?1",
        params!["products"],
        |row| row.get("value"),
    )?;
    Ok(count.unwrap_or_default())
}

/// Adds to the stored number of products.
pub(in crate::domain::catalog) fn add_to_product_count(tx: &mut Tx<'_>, by: i64) -> Result<()> {
    if by != 0 {
        tx.execute(
            "UPDATE kept_counts SET value = value + ?1 WHERE name = 'products'",
            params![by],
        )?;
        cache_tags::invalidate_lists(tx);
    }
    Ok(())
}

/// Calls `each` with every variant, ordered by product, and its `images` column. Uses a single statement: the plan
/// of a paged one would depend on the statistics of a table that may just have been filled.
pub(in crate::domain::catalog) fn each_export_row(
    tx: &mut Tx<'_>,
    mut each: impl FnMut(ExportRow<'_>, &str) -> Result<()>,
) -> Result<()> {
    let sql = "SELECT p.id, p.name, p.description, coalesce(v.price, p.price) AS price, coalesce(v.stock, p.stock) AS stock,
             c.name AS category, p.images, coalesce(v.id, p.id) AS variant_id, v.sku, v.barcode,
             coalesce(v.options, '[]') AS options, v.compare_at_price, v.weight_grams
         FROM products p LEFT JOIN categories c ON c.id = p.category_id
             LEFT JOIN variants v ON v.product_id = p.id AND v.deleted_at IS NULL
         WHERE p.deleted_at IS NULL ORDER BY p.id, v.position, v.id";
    tx.each(sql, &[], |row| {
        let export_row = ExportRow {
            id: row.get("id")?,
            name: row.get("name")?,
            description: row.get("description")?,
            price: row.get("price")?,
            stock: row.get("stock")?,
            category: row.get("category")?,
            images: String::new(),
            variant: row.get("variant_id")?,
            sku: row.get("sku")?,
            barcode: row.get("barcode")?,
            options: VariantOptions::from_json(row.get("options")?)?,
            compare_at_price: row.get("compare_at_price")?,
            weight: row.get("weight_grams")?,
        };
        each(export_row, row.get("images")?)
    })
}
