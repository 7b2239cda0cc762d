//! Checkout as a single statement, which saves round trips on Postgres.

use std::sync::LazyLock;

use crate::{
    core::{
        error::{Error, Result},
        money::{MAX_AMOUNT, Money, Price, Quantity},
    },
    domain::{
        accounts::ACTIVE_SESSION,
        orders::{NewOrder, OrderItem, Status, notifications::PLACED},
        payments::PaymentStatus,
    },
    infra::{
        db::{Tx, UNSEQUENCED_EVENTS, params},
        web::token::Claims,
    },
};

/// Does the same as `orders::place`. It writes everything, or nothing if any check fails; `place` then reports
/// the error.
///
/// It locks the rows of the cart first, so that only one of two concurrent checkouts finds them, then the
/// products in id order, which prevents deadlocks. A locked row is read in its latest version, not in that of
/// the statement's snapshot. The new stock is therefore computed from `line`: computed from the row itself, it
/// would be evaluated on the snapshot first, and the table's CHECK could fail on that.
static PLACE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH current_user_row AS ({ACTIVE_SESSION}),
         cart AS (
             SELECT product_id, quantity FROM cart_items
             WHERE user_id = (SELECT id FROM current_user_row) FOR UPDATE),
         line AS (
             SELECT p.id, p.name, p.price, p.stock, w.quantity
             FROM cart w JOIN products p ON p.id = w.product_id
             WHERE p.deleted_at IS NULL ORDER BY p.id FOR NO KEY UPDATE OF p),
         cart_total AS (
             SELECT sum(price::numeric * quantity) AS total FROM line
             HAVING count(*) > 0 AND bool_and(quantity <= stock)),
         accepted AS (
             SELECT total::bigint AS total FROM cart_total
             WHERE total <= {MAX_AMOUNT} AND total = coalesce(?4::bigint, total) AND total >= ?10::bigint),
         taken AS (
             UPDATE products p SET stock = l.stock - l.quantity
             FROM line l, accepted WHERE p.id = l.id RETURNING p.id, p.stock),
         placed AS (
             INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
             SELECT ?5, ?6, ?3, '{order_status}', total, ?2, ?2 FROM accepted RETURNING total),
         items AS (
             INSERT INTO order_items (order_id, product_id, name, price, quantity)
             SELECT ?5, l.id, l.name, l.price, l.quantity FROM line l, accepted),
         payment AS (
             INSERT INTO payments (id, order_id, provider, provider_order_id, status, amount,
                                   transaction_id, created_at, updated_at, due_at)
             SELECT ?7, ?5, ?8, ?9, '{payment_status}', total, NULL, ?2, ?2,
                    CASE WHEN ?9::text IS NULL THEN ?2 END
             FROM accepted),
         movements AS (
             INSERT INTO stock_movements (id, product_id, delta, cause, order_id, note, at)
             SELECT (left(?5::text, 34)
                         || lpad(to_hex(row_number() OVER (ORDER BY l.id) - 1), 2, '0'))::uuid,
                    l.id, -l.quantity, 'order', ?5, NULL, ?2 FROM line l, accepted),
         email AS (
             INSERT INTO outbox (id, recipient, template, data, state, tries, since, due_at,
                                 created_at)
             SELECT ?11::uuid, u.email, '{template}',
                    '{{\"name\":' || to_json(u.name) || ',\"number\":\"' || ?12::text || '\",\"items\":[' ||
                    (SELECT string_agg('{{\"name\":' || to_json(l.name) || ',\"quantity\":' || l.quantity
                                       || ',\"lineTotal\":' || l.price * l.quantity || '}}',
                                       ',' ORDER BY l.id) FROM line l)
                    || '],\"total\":' || total || '}}',
                    'waiting', 0, ?2, ?2, ?2
             FROM users u, accepted WHERE u.id = ?3),
         cleared AS (
             DELETE FROM cart_items c USING cart w, accepted
             WHERE c.user_id = ?3 AND c.product_id = w.product_id),
         event AS (
             {UNSEQUENCED_EVENTS}
             SELECT ?2, '[' || string_agg('{{\"id\":\"' || id || '\",\"stockQuantity\":' || stock || '}}',
                                          ',' ORDER BY id) || ']'
             FROM taken HAVING count(*) > 0)
         SELECT l.id, l.name, l.price, l.quantity, placed.total FROM line l, placed ORDER BY l.id",
        order_status = Status::Pending.as_str(),
        payment_status = PaymentStatus::Created.as_str(),
        template = PLACED,
    )
});

/// Returns the line items and the total, or `None` if the order must be placed step by step.
pub(in crate::domain::orders) fn place_at_once(
    tx: &mut Tx<'_>,
    claims: &Claims,
    new: &NewOrder,
    expected_total: Option<Money>,
    min_amount: Money,
) -> Result<Option<(Vec<OrderItem>, Money)>> {
    let rows = tx.at_once(
        &PLACE,
        params![
            claims.sid,
            tx.now(),
            claims.sub,
            expected_total,
            new.id,
            new.number.as_stored(),
            new.payment.id,
            &new.payment.provider,
            new.payment.provider_order_id.as_ref(),
            min_amount,
            new.mail,
            &new.number.to_string()
        ],
        true,
        |row| {
            let (price, quantity): (Price, Quantity) = (row.get(2)?, row.get(3)?);
            let item = OrderItem {
                product_id: row.get(0)?,
                name: row.get(1)?,
                price,
                quantity,
                line_total: price.times(quantity)?,
            };
            Ok((item, row.get::<Money>(4)?))
        },
    )?;
    let Some(rows) = rows else { return Ok(None) };
    let total = rows
        .first()
        .map(|(_, total)| *total)
        .ok_or_else(|| Error::internal("an order without line items"))?;
    Ok(Some((
        rows.into_iter().map(|(item, _)| item).collect(),
        total,
    )))
}
