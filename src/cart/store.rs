//! Carts as rows.

use super::Line;
use crate::{
    args, catalog,
    db::{Sql, Tx},
    error::Result,
    id::{ProductId, UserId},
    money::Quantity,
    web::App,
};

/// With `held`, nobody changes the products before the transaction ends; they are taken in the order
/// of their ids, so that two orders never wait for each other.
pub(super) fn lines(tx: &mut Tx<'_>, app: &App, user: UserId, held: bool) -> Result<Vec<Line>> {
    let sql = Sql::from(
        "SELECT p.id, p.name, p.price, p.stock, c.quantity, p.images, c.added_at
         FROM cart_items c JOIN products p ON p.id = c.product_id
         WHERE c.user_id = ?1 AND p.deleted_at IS NULL ORDER BY c.product_id",
    );
    let sql = if held { sql.locking("p") } else { sql };
    tx.all(sql, args![user], |row| {
        Ok(Line {
            product: row.get(0)?,
            name: row.get(1)?,
            price: row.get(2)?,
            stock: row.get(3)?,
            quantity: row.get(4)?,
            images: catalog::images(row.get(5)?, app)?,
            added_at: row.get(6)?,
        })
    })
}

/// A line for a product of the catalog that is not in the cart yet.
pub(super) fn new_line(
    tx: &mut Tx<'_>,
    app: &App,
    product: ProductId,
    quantity: Quantity,
) -> Result<Option<Line>> {
    let now = tx.now();
    tx.one(
        "SELECT name, price, stock, images FROM products WHERE id = ?1 AND deleted_at IS NULL",
        args![product],
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
        args![user, product, quantity, tx.now()],
    )?;
    Ok(())
}

/// Tells whether it was there; what has left the catalog is not.
pub(super) fn delete(tx: &mut Tx<'_>, user: UserId, product: ProductId) -> Result<bool> {
    let gone = tx.execute(
        "DELETE FROM cart_items WHERE user_id = ?1 AND product_id = ?2
             AND EXISTS (SELECT 1 FROM products WHERE id = ?2 AND deleted_at IS NULL)",
        args![user, product],
    )?;
    Ok(gone == 1)
}

pub(super) fn clear(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM cart_items WHERE user_id = ?1", args![user])?;
    Ok(())
}
