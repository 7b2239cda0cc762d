//! SQL of carts.

use std::sync::LazyLock;

use super::{Line, limits::MAX_LINES};
use crate::{
    app::App,
    core::{
        error::Result,
        id::{ProductId, UserId},
        money::Quantity,
    },
    domain::{accounts::ACTIVE_SESSION, catalog},
    infra::{
        db::{Row, Sql, Tx, params},
        web::token::Claims,
    },
};

/// Selects the lines of a cart, up to the user's id. [`line()`] reads the rows.
const LINES: &str = "SELECT p.id, p.name, p.price, p.stock, c.quantity, p.images, c.added_at
    FROM cart_items c JOIN products p ON p.id = c.product_id
    WHERE p.deleted_at IS NULL AND c.user_id =";

/// Returns the lines of a cart. With `for_update`, locks their products in id order, which prevents deadlocks.
pub(super) fn lines(
    tx: &mut Tx<'_>,
    app: &App,
    user: UserId,
    for_update: bool,
) -> Result<Vec<Line>> {
    static IN_ORDER: LazyLock<String> =
        LazyLock::new(|| format!("{LINES} ?1 ORDER BY c.product_id"));
    let sql = Sql::from(&*IN_ORDER);
    let sql = if for_update { sql.for_update("p") } else { sql };
    tx.all(sql, params![user], |row| line(row, app))
}

fn line(row: &Row<'_>, app: &App) -> Result<Line> {
    Ok(Line {
        product: row.get(0)?,
        name: row.get(1)?,
        price: row.get(2)?,
        stock: row.get(3)?,
        quantity: row.get(4)?,
        images: catalog::images(row.get(5)?, app)?,
        added_at: row.get(6)?,
    })
}

/// Returns a line for a product that is not in the cart yet.
pub(super) fn new_line(
    tx: &mut Tx<'_>,
    app: &App,
    product: ProductId,
    quantity: Quantity,
) -> Result<Option<Line>> {
    let now = tx.now();
    tx.one(
        "SELECT name, price, stock, images FROM products WHERE id = ?1 AND deleted_at IS NULL",
        params![product],
        |row| {
            Ok(Line {
                product,
                name: row.get(0)?,
                price: row.get(1)?,
                stock: row.get(2)?,
                quantity,
                images: catalog::images(row.get(3)?, app)?,
                added_at: now,
            })
        },
    )
}

/// Adds to the cart of an active session. Writes nothing if a check fails or the cart is nearly full; `add` then
/// does it step by step. Like every change of a cart, it locks the row of the account.
static ADD_AT_ONCE: LazyLock<String> = LazyLock::new(|| {
    let (max_quantity, max_lines) = (Quantity::MAX, MAX_LINES - 10);
    format!(
        "WITH current_user_row AS ({ACTIVE_SESSION} FOR NO KEY UPDATE OF u, s),
         product AS (
             SELECT id, name, price, stock, images FROM products
             WHERE id = ?4 AND deleted_at IS NULL),
         lines AS ({LINES} ?3),
         put AS (
             INSERT INTO cart_items (user_id, product_id, quantity, added_at)
             SELECT v.id, p.id, ?5, ?2 FROM current_user_row v, product p
             WHERE ?5 <= p.stock AND (SELECT count(*) FROM lines) < {max_lines}
             ON CONFLICT (user_id, product_id) DO UPDATE
             SET quantity = cart_items.quantity + excluded.quantity
             WHERE cart_items.quantity + excluded.quantity
                 <= LEAST({max_quantity}, (SELECT stock FROM product))
             RETURNING quantity, added_at)
         SELECT p.id, p.name, p.price, p.stock, put.quantity, p.images, put.added_at
         FROM product p, put
         UNION ALL
         SELECT h.id, h.name, h.price, h.stock, h.quantity, h.images, h.added_at
         FROM lines h, put WHERE h.id <> ?4"
    )
});

/// Returns the lines after the addition, or `None` if it must be done step by step.
pub(super) fn add_at_once(
    tx: &mut Tx<'_>,
    app: &App,
    claims: &Claims,
    product: ProductId,
    quantity: Quantity,
) -> Result<Option<Vec<Line>>> {
    tx.at_once(
        &ADD_AT_ONCE,
        params![claims.sid, tx.now(), claims.sub, product, quantity],
        false,
        |row| line(row, app),
    )
}

pub(super) fn put(
    tx: &mut Tx<'_>,
    user: UserId,
    product: ProductId,
    quantity: Quantity,
) -> Result<()> {
    tx.execute(
        "INSERT INTO cart_items (user_id, product_id, quantity, added_at)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = excluded.quantity",
        params![user, product, quantity, tx.now()],
    )?;
    Ok(())
}

/// Returns whether the product was in the cart; a deleted one is not.
pub(super) fn delete(tx: &mut Tx<'_>, user: UserId, product: ProductId) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM cart_items WHERE user_id = ?1 AND product_id = ?2
             AND EXISTS (SELECT 1 FROM products WHERE id = ?2 AND deleted_at IS NULL)",
        params![user, product],
    )?;
    Ok(deleted == 1)
}

pub(super) fn clear(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM cart_items WHERE user_id = ?1", params![user])?;
    Ok(())
}
