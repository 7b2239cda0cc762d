//! Variants as rows.

use std::collections::HashMap;

use crate::{
    core::{
        error::Result,
        finding::FINDINGS_QUERY_LIMIT,
        id::{ImageId, ProductId, VariantId},
        money::{Price, Stock},
        shop_settings::ShopSettings,
    },
    domain::{
        catalog::{
            cache_tags,
            normalize::case_fold,
            options::VariantOptions,
            variant::{Variant, VariantPosition, VariantProduct, VariantWithProduct, Weight},
        },
        media,
    },
    infra::db::{Row, Tx, Value, params, placeholders},
};

/// The columns that [`read_variant`] reads, of a variant `v` and its product `p`. The only variant of a product without
/// options has the product's price and stock.
const COLUMNS: &str = "v.id, v.product_id, v.options, v.sku, v.barcode, coalesce(v.price, p.price) AS price, v.compare_at_price,
    coalesce(v.stock, p.stock) AS stock, v.weight_grams, v.requires_shipping, v.image_id, v.position, v.created_at,
    CASE WHEN v.price IS NULL AND p.updated_at > v.updated_at THEN p.updated_at ELSE v.updated_at END AS updated_at";

fn read_variant(row: &Row<'_>, settings: &ShopSettings) -> Result<Variant> {
    let options = VariantOptions::from_json(row.get("options")?)?;
    Ok(Variant {
        id: row.get("id")?,
        product_id: row.get("product_id")?,
        title: options.title(),
        options,
        sku: row.get("sku")?,
        barcode: row.get("barcode")?,
        price: row.get("price")?,
        compare_at_price: row.get("compare_at_price")?,
        currency: settings.currency.code(),
        stock_quantity: row.get("stock")?,
        weight_grams: row.get("weight_grams")?,
        requires_shipping: row.get("requires_shipping")?,
        image_id: row.get("image_id")?,
        position: row.get("position")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Inserts the variants of new products without options.
pub(in crate::domain::catalog) fn insert_variants(
    tx: &mut Tx<'_>,
    products: &[ProductId],
) -> Result<()> {
    let ids: Vec<Value<'_>> = products.iter().map(|id| Value::from(*id)).collect();
    let sql = format!(
        "INSERT INTO variants (id, product_id, options_key, created_at, updated_at)
         SELECT id, id, '', created_at, updated_at FROM products WHERE id IN {}",
        placeholders(ids.len(), 1)
    );
    tx.execute_pipelined(&sql, &ids)
}

/// Returns the variants of a product.
pub(in crate::domain::catalog) fn variants_of(
    tx: &mut Tx<'_>,
    product: ProductId,
) -> Result<Vec<Variant>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM variants v JOIN products p ON p.id = v.product_id
         WHERE v.product_id = ?1 AND v.deleted_at IS NULL ORDER BY v.position, v.id"
    );
    let settings = tx.settings();
    tx.all(&sql, params![product], |row| read_variant(row, settings))
}

/// Returns a variant with its product.
pub(in crate::domain::catalog) fn variant_by_id(
    tx: &mut Tx<'_>,
    id: VariantId,
) -> Result<Option<VariantWithProduct>> {
    let sql = format!(
        "SELECT {COLUMNS}, p.name, p.slug, p.images FROM variants v JOIN products p ON p.id = v.product_id
         WHERE v.id = ?1 AND v.deleted_at IS NULL AND p.deleted_at IS NULL"
    );
    let settings = tx.settings();
    tx.one(&sql, params![id], |row| {
        let variant = read_variant(row, settings)?;
        Ok(VariantWithProduct {
            product: VariantProduct {
                id: variant.product_id,
                name: row.get("name")?,
                slug: row.get("slug")?,
                images: media::parse_images(row.get("images")?, &settings.public_url)?,
            },
            variant,
        })
    })
}

/// Returns the variant with this normalized SKU.
pub(in crate::domain::catalog) fn variant_by_sku_key(
    tx: &mut Tx<'_>,
    sku_key: &str,
) -> Result<Option<VariantId>> {
    let sql = "SELECT id FROM variants WHERE sku_key = ?1 AND deleted_at IS NULL";
    tx.one(sql, params![sku_key], |row| row.get("id"))
}

/// Returns the variant of a product that selects these values.
pub(in crate::domain::catalog) fn variant_by_options_key(
    tx: &mut Tx<'_>,
    product: ProductId,
    options_key: &str,
) -> Result<Option<VariantId>> {
    let sql =
        "SELECT id FROM variants WHERE product_id = ?1 AND options_key = ?2 AND deleted_at IS NULL";
    tx.one(sql, params![product, options_key], |row| row.get("id"))
}

/// The columns of a variant that are set together. The stock is not among them.
pub(in crate::domain::catalog) struct VariantColumns<'a> {
    pub(in crate::domain::catalog) sku: Option<&'a str>,
    pub(in crate::domain::catalog) sku_key: Option<&'a str>,
    pub(in crate::domain::catalog) barcode: Option<&'a str>,
    pub(in crate::domain::catalog) compare_at_price: Option<Price>,
    pub(in crate::domain::catalog) weight: Option<Weight>,
    pub(in crate::domain::catalog) requires_shipping: bool,
    pub(in crate::domain::catalog) image: Option<ImageId>,
    pub(in crate::domain::catalog) position: VariantPosition,
    pub(in crate::domain::catalog) options_key: &'a str,
    /// JSON, by `VariantOptions`.
    pub(in crate::domain::catalog) options: &'a str,
}

/// Inserts a variant. `own` is the price and the stock of one with options.
pub(in crate::domain::catalog) fn insert_variant(
    tx: &mut Tx<'_>,
    id: VariantId,
    product: ProductId,
    columns: &VariantColumns<'_>,
    own: Option<(Price, Stock)>,
) -> Result<()> {
    tx.execute(
        "INSERT INTO variants (id, product_id, sku, sku_key, barcode, compare_at_price, weight_grams,
             requires_shipping, image_id, position, options_key, options, price, stock, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)",
        params![
            id,
            product,
            columns.sku,
            columns.sku_key,
            columns.barcode,
            columns.compare_at_price,
            columns.weight,
            columns.requires_shipping,
            columns.image,
            columns.position,
            columns.options_key,
            columns.options,
            own.map(|(price, _)| price),
            own.map(|(_, stock)| stock),
            tx.now()
        ],
    )?;
    cache_tags::invalidate_product(tx, product);
    Ok(())
}

/// Sets the options of a variant. One that had the price and the stock of its product gets its own.
pub(in crate::domain::catalog) fn set_variant_options(
    tx: &mut Tx<'_>,
    id: VariantId,
    options_key: &str,
    options: &str,
) -> Result<()> {
    tx.execute_pipelined(
        "UPDATE variants SET options_key = ?2, options = ?3, updated_at = ?4,
             price = coalesce(price, (SELECT p.price FROM products p WHERE p.id = variants.product_id)),
             stock = coalesce(stock, (SELECT p.stock FROM products p WHERE p.id = variants.product_id))
         WHERE id = ?1",
        params![id, options_key, options, tx.now()],
    )
}

/// Sets the price of a variant with options.
pub(in crate::domain::catalog) fn set_variant_price(
    tx: &mut Tx<'_>,
    id: VariantId,
    price: Price,
) -> Result<()> {
    tx.execute_pipelined(
        "UPDATE variants SET price = ?2, updated_at = ?3 WHERE id = ?1",
        params![id, price, tx.now()],
    )
}

/// Marks a variant as deleted (soft delete), which makes its SKU available.
pub(in crate::domain::catalog) fn delete_variant(tx: &mut Tx<'_>, variant: &Variant) -> Result<()> {
    tx.execute(
        "UPDATE variants SET deleted_at = ?2, updated_at = ?2 WHERE id = ?1",
        params![variant.id, tx.now()],
    )?;
    cache_tags::invalidate_product(tx, variant.product_id);
    Ok(())
}

/// Updates a variant. The index of SKUs refuses one that another transaction has taken at the same time: the operation
/// then runs again.
pub(in crate::domain::catalog) fn update_variant(
    tx: &mut Tx<'_>,
    variant: &Variant,
    columns: &VariantColumns<'_>,
) -> Result<()> {
    tx.execute(
        "UPDATE variants SET sku = ?2, sku_key = ?3, barcode = ?4, compare_at_price = ?5, weight_grams = ?6,
             requires_shipping = ?7, image_id = ?8, position = ?9, options_key = ?10, options = ?11, updated_at = ?12
         WHERE id = ?1",
        params![
            variant.id,
            columns.sku,
            columns.sku_key,
            columns.barcode,
            columns.compare_at_price,
            columns.weight,
            columns.requires_shipping,
            columns.image,
            columns.position,
            columns.options_key,
            columns.options,
            tx.now()
        ],
    )?;
    cache_tags::invalidate_product(tx, variant.product_id);
    Ok(())
}

/// Marks the variants of a product as deleted (soft delete), which makes their SKUs available.
pub(in crate::domain::catalog) fn delete_variants(
    tx: &mut Tx<'_>,
    product: ProductId,
) -> Result<()> {
    tx.execute_pipelined(
        "UPDATE variants SET deleted_at = ?2, updated_at = ?2 WHERE product_id = ?1 AND deleted_at IS NULL",
        params![product, tx.now()],
    )
}

/// Removes an image from the variants that show it.
pub(in crate::domain::catalog) fn remove_image_from_variants(
    tx: &mut Tx<'_>,
    product: ProductId,
    image: ImageId,
) -> Result<()> {
    tx.execute_pipelined(
        "UPDATE variants SET image_id = NULL, updated_at = ?3
         WHERE product_id = ?1 AND image_id = ?2 AND deleted_at IS NULL",
        params![product, image, tx.now()],
    )
}

/// Returns the products that have no variant, and the deleted ones that still have one, with whether they are deleted.
pub(in crate::domain::catalog) fn products_with_wrong_variants(
    tx: &mut Tx<'_>,
) -> Result<Vec<(ProductId, bool)>> {
    tx.all(
        "SELECT p.id, CASE WHEN p.deleted_at IS NULL THEN 0 ELSE 1 END AS is_deleted FROM products p
         WHERE (p.deleted_at IS NULL) <> EXISTS (
             SELECT 1 FROM variants v WHERE v.product_id = p.id AND v.deleted_at IS NULL
         ) ORDER BY p.id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("id")?, row.get("is_deleted")?)),
    )
}

/// Inserts the variant of a product without options, or restores it without its SKU, which another variant may have
/// by now.
pub(in crate::domain::catalog) fn restore_variant(
    tx: &mut Tx<'_>,
    product: ProductId,
) -> Result<()> {
    tx.execute_pipelined(
        "INSERT INTO variants (id, product_id, options_key, created_at, updated_at)
         SELECT id, id, '', created_at, updated_at FROM products WHERE id = ?1
         ON CONFLICT (id) DO UPDATE SET deleted_at = NULL, sku = NULL, sku_key = NULL, options_key = '', options = '[]',
             price = NULL, stock = NULL",
        params![product],
    )
}

/// The columns that a variant may lack and a CSV file can have.
#[derive(Debug, Clone, Default)]
pub(in crate::domain::catalog) struct ImportedColumns {
    pub(in crate::domain::catalog) sku: Option<String>,
    pub(in crate::domain::catalog) barcode: Option<String>,
    pub(in crate::domain::catalog) compare_at_price: Option<Price>,
    pub(in crate::domain::catalog) weight: Option<Weight>,
}

/// A variant that an import may change.
pub(in crate::domain::catalog) struct CurrentVariant {
    pub(in crate::domain::catalog) id: VariantId,
    pub(in crate::domain::catalog) columns: ImportedColumns,
    pub(in crate::domain::catalog) options_key: String,
    /// JSON, by `VariantOptions`.
    pub(in crate::domain::catalog) options: String,
    /// `None` is that of the product.
    pub(in crate::domain::catalog) price: Option<Price>,
    /// `None` is that of the product.
    pub(in crate::domain::catalog) stock: Option<i64>,
    pub(in crate::domain::catalog) position: VariantPosition,
}

/// Returns the variants of these products in their order. The products must be locked.
pub(in crate::domain::catalog) fn current_variants(
    tx: &mut Tx<'_>,
    products: &[ProductId],
) -> Result<HashMap<ProductId, Vec<CurrentVariant>>> {
    let ids: Vec<Value<'_>> = products.iter().map(|id| Value::from(*id)).collect();
    let sql = format!(
        "SELECT product_id, id, sku, barcode, compare_at_price, weight_grams, options_key, options, price, stock, position
         FROM variants WHERE product_id IN {} AND deleted_at IS NULL ORDER BY product_id, position, id",
        placeholders(ids.len(), 1)
    );
    let mut variants: HashMap<_, Vec<_>> = HashMap::new();
    tx.each(&sql, &ids, |row| {
        let variant = CurrentVariant {
            id: row.get("id")?,
            columns: ImportedColumns {
                sku: row.get("sku")?,
                barcode: row.get("barcode")?,
                compare_at_price: row.get("compare_at_price")?,
                weight: row.get("weight_grams")?,
            },
            options_key: row.get("options_key")?,
            options: row.get("options")?,
            price: row.get("price")?,
            stock: row.get("stock")?,
            position: row.get("position")?,
        };
        variants
            .entry(row.get("product_id")?)
            .or_default()
            .push(variant);
        Ok(())
    })?;
    Ok(variants)
}

/// Marks variants as deleted until [`write_variants`] writes them, so that they can exchange SKUs and options.
pub(in crate::domain::catalog) fn release_keys(
    tx: &mut Tx<'_>,
    variants: &[VariantId],
) -> Result<()> {
    let mut values: Vec<Value<'_>> = variants.iter().map(|id| Value::from(*id)).collect();
    values.push(tx.now().into());
    let sql = format!(
        "UPDATE variants SET deleted_at = ?{} WHERE id IN {}",
        values.len(),
        placeholders(variants.len(), 1)
    );
    tx.execute_pipelined(&sql, &values)
}

/// A variant's row to write.
pub(in crate::domain::catalog) struct VariantRow<'a> {
    pub(in crate::domain::catalog) product: ProductId,
    pub(in crate::domain::catalog) variant: &'a CurrentVariant,
}

/// Inserts variants, or overwrites these columns of existing ones.
pub(in crate::domain::catalog) fn write_variants(
    tx: &mut Tx<'_>,
    rows: &[VariantRow<'_>],
) -> Result<()> {
    let sku_keys = rows
        .iter()
        .map(|row| row.variant.columns.sku.as_deref().map(case_fold));
    let sku_keys: Vec<Option<String>> = sku_keys.collect();
    let now = tx.now();
    let mut values: Vec<Value<'_>> = Vec::with_capacity(rows.len() * 14);
    for (row, sku_key) in rows.iter().zip(&sku_keys) {
        let (variant, columns) = (row.variant, &row.variant.columns);
        let cells: [Value<'_>; 14] = [
            variant.id.into(),
            row.product.into(),
            columns.sku.as_deref().into(),
            sku_key.as_deref().into(),
            columns.barcode.as_deref().into(),
            columns.compare_at_price.into(),
            columns.weight.into(),
            variant.options_key.as_str().into(),
            variant.options.as_str().into(),
            variant.price.into(),
            variant.stock.into(),
            variant.position.into(),
            now.into(),
            now.into(),
        ];
        values.extend(cells);
        cache_tags::invalidate_product(tx, row.product);
    }
    let sql = format!(
        "INSERT INTO variants (id, product_id, sku, sku_key, barcode, compare_at_price, weight_grams, options_key,
                               options, price, stock, position, created_at, updated_at)
         VALUES {}
         ON CONFLICT (id) DO UPDATE SET sku = excluded.sku, sku_key = excluded.sku_key, barcode = excluded.barcode,
             compare_at_price = excluded.compare_at_price, weight_grams = excluded.weight_grams,
             options_key = excluded.options_key, options = excluded.options, price = excluded.price,
             stock = excluded.stock, updated_at = excluded.updated_at, deleted_at = NULL",
        placeholders(14, rows.len())
    );
    tx.execute(&sql, &values)?;
    Ok(())
}

/// The owner of a SKU.
pub(in crate::domain::catalog) struct SkuOwner {
    pub(in crate::domain::catalog) product: ProductId,
    pub(in crate::domain::catalog) variant: VariantId,
}

/// Returns the variants with these normalized SKUs.
pub(in crate::domain::catalog) fn sku_owners(
    tx: &mut Tx<'_>,
    keys: &[&str],
) -> Result<HashMap<String, SkuOwner>> {
    let values: Vec<Value<'_>> = keys.iter().map(|key| Value::from(*key)).collect();
    let sql = format!(
        "SELECT sku_key, product_id, id FROM variants WHERE sku_key IN {} AND deleted_at IS NULL",
        placeholders(values.len(), 1)
    );
    let rows = tx.all(&sql, &values, |row| {
        let owner = SkuOwner {
            product: row.get("product_id")?,
            variant: row.get("id")?,
        };
        Ok((row.get("sku_key")?, owner))
    })?;
    Ok(rows.into_iter().collect())
}

/// Returns those of these ids that a variant or a product has, deleted or not, with the product.
pub(in crate::domain::catalog) fn id_owners(
    tx: &mut Tx<'_>,
    ids: &[VariantId],
) -> Result<HashMap<VariantId, ProductId>> {
    let values: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
    let list = placeholders(values.len(), 1);
    let sql = format!(
        "SELECT id, product_id FROM variants WHERE id IN {list} UNION SELECT id, id FROM products WHERE id IN {list}"
    );
    let rows = tx.all(&sql, &values, |row| {
        Ok((row.get("id")?, row.get("product_id")?))
    })?;
    Ok(rows.into_iter().collect())
}

/// Returns whether any variant has a SKU, a barcode, an earlier price or a weight.
pub(in crate::domain::catalog) fn has_codes(tx: &mut Tx<'_>) -> Result<bool> {
    let sql = "SELECT 1 FROM variants
         WHERE deleted_at IS NULL
             AND coalesce(sku, barcode, CAST(compare_at_price AS TEXT), CAST(weight_grams AS TEXT)) IS NOT NULL
         LIMIT 1";
    Ok(tx.one(sql, &[], |_| Ok(()))?.is_some())
}

/// Returns whether any product has options.
pub(in crate::domain::catalog) fn has_options(tx: &mut Tx<'_>) -> Result<bool> {
    let sql = "SELECT 1 FROM products WHERE options <> '[]' AND deleted_at IS NULL LIMIT 1";
    Ok(tx.one(sql, &[], |_| Ok(()))?.is_some())
}

/// Calls `each` with every variant that has a SKU: its id, the SKU, and the normalized SKU.
pub(in crate::domain::catalog) fn each_sku(
    tx: &mut Tx<'_>,
    mut each: impl FnMut(VariantId, &str, &str),
) -> Result<()> {
    let sql =
        "SELECT id, sku, sku_key FROM variants WHERE sku_key IS NOT NULL AND deleted_at IS NULL";
    tx.each(sql, &[], |row| {
        each(row.get("id")?, row.get("sku")?, row.get("sku_key")?);
        Ok(())
    })
}

/// Calls `each` with the SKUs of products: the product and the SKU.
pub(in crate::domain::catalog) fn each_sku_of(
    tx: &mut Tx<'_>,
    products: &[ProductId],
    mut each: impl FnMut(ProductId, &str),
) -> Result<()> {
    let ids: Vec<Value<'_>> = products.iter().map(|id| Value::from(*id)).collect();
    let sql = format!(
        "SELECT product_id, sku FROM variants
         WHERE product_id IN {} AND sku IS NOT NULL AND deleted_at IS NULL ORDER BY product_id, position, id",
        placeholders(ids.len(), 1)
    );
    tx.each(&sql, &ids, |row| {
        each(row.get("product_id")?, row.get("sku")?);
        Ok(())
    })
}

/// Returns the product of the variant with this normalized SKU.
pub(in crate::domain::catalog) fn product_by_sku_key(
    tx: &mut Tx<'_>,
    sku_key: &str,
) -> Result<Option<ProductId>> {
    let sql = "SELECT product_id FROM variants WHERE sku_key = ?1 AND deleted_at IS NULL";
    tx.one(sql, params![sku_key], |row| row.get("product_id"))
}

/// Sets the normalized SKU of a variant.
pub(in crate::domain::catalog) fn set_sku_key(
    tx: &mut Tx<'_>,
    id: VariantId,
    sku_key: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE variants SET sku_key = ?2 WHERE id = ?1",
        params![id, sku_key],
    )?;
    Ok(())
}
