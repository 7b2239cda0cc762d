//! Products as rows.

use std::borrow::Cow;

use super::{
    product_query::{CATEGORY_JOIN, COLUMNS},
    variants::delete_variants,
};
use crate::{
    core::{
        error::Result,
        id::{CategoryId, ProductId},
        money::{Price, Stock},
        shop_settings::ShopSettings,
    },
    domain::{
        catalog::{cache_tags, category::CategoryRef, options::ProductOptions, product::Product},
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

/// Inserts a product. Its variants and the counts of products must follow.
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
    cache_tags::invalidate_listed(tx, id);
    Ok(())
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

/// Returns the options of a product.
pub(in crate::domain::catalog) fn options_of(
    tx: &mut Tx<'_>,
    id: ProductId,
) -> Result<ProductOptions> {
    let sql = "SELECT options FROM products WHERE id = ?1";
    let options = tx.one(sql, params![id], |row| {
        ProductOptions::from_json(row.get("options")?)
    })?;
    Ok(options.unwrap_or_default())
}

pub(in crate::domain::catalog) fn set_options(
    tx: &mut Tx<'_>,
    id: ProductId,
    options: &ProductOptions,
) -> Result<()> {
    cache_tags::invalidate_product(tx, id);
    tx.execute_pipelined(
        "UPDATE products SET options = ?2 WHERE id = ?1",
        params![id, &options.to_json()?],
    )
}

/// Computes what the rows of products with options keep of their variants.
pub(in crate::domain::catalog) fn set_kept_values(
    tx: &mut Tx<'_>,
    ids: &[ProductId],
) -> Result<()> {
    let mut values: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
    values.push(tx.now().into());
    let sql = format!(
        "UPDATE products SET price = v.lowest, price_max = v.highest, stock = v.total, variant_count = v.variants,
             updated_at = ?{}
         FROM (SELECT product_id, min(price) AS lowest, max(price) AS highest, CAST(sum(stock) AS BIGINT) AS total,
                   count(*) AS variants
               FROM variants WHERE product_id IN {} AND deleted_at IS NULL GROUP BY product_id) v
         WHERE products.id = v.product_id",
        values.len(),
        placeholders(ids.len(), 1)
    );
    tx.execute(&sql, &values)?;
    for id in ids {
        cache_tags::invalidate_listed(tx, *id);
    }
    Ok(())
}

/// Corrects the row of a product without options, which keeps nothing of its variant.
pub(in crate::domain::catalog) fn reset_kept_values(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    tx.execute(
        "UPDATE products SET options = '[]', price_max = NULL, variant_count = 1 WHERE id = ?1",
        params![id],
    )?;
    cache_tags::invalidate_listed(tx, id);
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
        price_max: row.get("price_max")?,
        currency: settings.currency.code(),
        stock_quantity: row.get("stock")?,
        variant_count: row.get("variant_count")?,
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
