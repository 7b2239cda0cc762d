//! The catalog as rows: products here, lists and categories beside.

mod categories;
mod listing;

pub(super) use self::categories::{
    categories, category_by_id, category_by_key, delete_category, insert_category, rename_category,
    slug_is_taken,
};
pub(super) use self::listing::list;
pub use self::listing::{Filters, Sort};
use super::{CategoryRef, Movement, Product};
use crate::{
    args,
    db::{Row, Tx, Value, rows_of},
    error::{Error, Result},
    id::{CategoryId, ProductId},
    media::{self, Image},
    money::{Price, Stock},
    web::App,
};

/// What a product's row shows; [`product`] reads it.
const SHOWN: &str = "p.id, p.name, p.slug, p.description, p.price, p.stock, p.created_at,
    p.updated_at, c.id, c.name, c.slug, p.image_count
    FROM products p LEFT JOIN categories c ON c.id = p.category_id";

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
        args![
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
        args![
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
        args![id, tx.now()],
    )?;
    tx.execute(
        "UPDATE kept_counts SET value = value - 1 WHERE name = 'products'",
        &[],
    )?;
    Ok(())
}

/// Keeps how many pictures a product has, so that who has none is not asked for them.
pub(super) fn set_image_count(tx: &mut Tx<'_>, id: ProductId, count: usize) -> Result<()> {
    let count = i64::try_from(count).map_err(Error::internal)?;
    tx.execute(
        "UPDATE products SET image_count = ?2 WHERE id = ?1",
        args![id, count],
    )?;
    Ok(())
}

/// Moves the kept count of a category's products.
pub(super) fn count_in(tx: &mut Tx<'_>, category: Option<CategoryId>, by: i64) -> Result<()> {
    if let Some(id) = category {
        tx.execute(
            "UPDATE categories SET product_count = product_count + ?2 WHERE id = ?1",
            args![id, by],
        )?;
    }
    Ok(())
}

pub(super) fn by_id(tx: &mut Tx<'_>, app: &App, id: ProductId) -> Result<Option<Product>> {
    let sql = format!("SELECT {SHOWN} WHERE p.id = ?1 AND p.deleted_at IS NULL");
    let currency = app.config.currency.code();
    let found = tx.one(&sql, args![id], |row| product(row, currency))?;
    Ok(with_images(tx, app, found.into_iter().collect())?.pop())
}

/// Joins their pictures to products that have some.
fn with_images(
    tx: &mut Tx<'_>,
    app: &App,
    found: Vec<(Product, HasImages)>,
) -> Result<Vec<Product>> {
    let pictured: Vec<_> = found
        .iter()
        .filter(|(_, has)| has.0)
        .map(|(p, _)| p.id)
        .collect();
    let mut products: Vec<_> = found.into_iter().map(|(product, _)| product).collect();
    for (owner, image) in images_of(tx, app, &pictured)? {
        if let Some(product) = products.iter_mut().find(|product| product.id == owner) {
            product.images.push(image);
        }
    }
    Ok(products)
}

/// Whether there are pictures to be read beside a product's row.
struct HasImages(bool);

fn product(row: &Row<'_>, currency: &'static str) -> Result<(Product, HasImages)> {
    let category_id: Option<CategoryId> = row.get(8)?;
    let category = match category_id {
        Some(id) => Some(CategoryRef {
            id,
            name: row.get(9)?,
            slug: row.get(10)?,
        }),
        None => None,
    };
    let product = Product {
        id: row.get(0)?,
        name: row.get(1)?,
        slug: row.get(2)?,
        description: row.get(3)?,
        price: row.get(4)?,
        currency,
        stock_quantity: row.get(5)?,
        images: Vec::new(),
        category_id,
        category,
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
    };
    Ok((product, HasImages(row.get(11)?)))
}

fn image(row: &Row<'_>, from: usize, app: &App) -> Result<Image> {
    Ok(Image {
        id: row.get(from)?,
        url: media::url(&app.public_url, row.get(from + 1)?),
        width: row.get(from + 2)?,
        height: row.get(from + 3)?,
        content_type: row.get(from + 4)?,
    })
}

/// The pictures of some products, each product's in order.
pub fn images_of(
    tx: &mut Tx<'_>,
    app: &App,
    products: &[ProductId],
) -> Result<Vec<(ProductId, Image)>> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT product_id, id, image_key, width, height, content_type FROM product_images
         WHERE product_id IN {} ORDER BY product_id, position, id",
        rows_of(products.len(), 1)
    );
    let ids: Vec<Value<'_>> = products.iter().map(|id| Value::from(*id)).collect();
    tx.all(&sql, &ids, |row| Ok((row.get(0)?, image(row, 1, app)?)))
}

/// The stock of a product that is in the catalog.
pub(super) fn stock(tx: &mut Tx<'_>, id: ProductId) -> Result<Option<i64>> {
    tx.one(
        "SELECT stock FROM products WHERE id = ?1 AND deleted_at IS NULL",
        args![id],
        |row| row.get(0),
    )
}

/// Changes the stock of a product in the catalog and tells what it is then; none if it would leave
/// its bounds. (`RETURNING` would cost `SQLite` a table of its own; the row is ours until the end.)
pub(super) fn add_stock(tx: &mut Tx<'_>, id: ProductId, delta: i64) -> Result<Option<i64>> {
    let changed = tx.execute(
        "UPDATE products SET stock = stock + ?2
         WHERE id = ?1 AND stock + ?2 BETWEEN 0 AND 1000000000 AND deleted_at IS NULL",
        args![id, delta],
    )?;
    if changed == 1 {
        stock(tx, id)
    } else {
        Ok(None)
    }
}

/// Puts stock back, in the catalog or not.
pub(super) fn return_stock(tx: &mut Tx<'_>, id: ProductId, quantity: i64) -> Result<i64> {
    tx.one(
        "UPDATE products SET stock = stock + ?2 WHERE id = ?1 RETURNING stock",
        args![id, quantity],
        |row| row.get(0),
    )?
    .ok_or_else(|| Error::internal("an order names a product that was never there"))
}

/// Writes movements, all in one statement.
pub(super) fn insert_movements(tx: &mut Tx<'_>, movements: &[Movement<'_>]) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(movements.len() * 7);
    for movement in movements {
        values.extend([
            Value::Id(tx.id()),
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
        rows_of(7, movements.len())
    );
    tx.execute(&sql, &values)?;
    Ok(())
}
