//! A whole checkout as one statement, for an engine to which each is a journey.

use std::sync::LazyLock;

use crate::{
    core::{
        error::{Error, Result},
        money::{MAX_AMOUNT, Money, Price, Quantity},
    },
    domain::{
        accounts::ACTIVE_SESSION,
        orders::{Draft, OrderItem, Status, letters::PLACED},
        payments::PaymentStatus,
    },
    infra::{
        db::{Tx, UNSEQUENCED_EVENTS, params},
        web::token::Claims,
    },
};

/// Does what `orders::place` does step by step. It writes everything, or nothing where anything
/// speaks against it: the steps then find out what. The cart's rows are held first, so that of two
/// checkouts one finds them; then the products, in the order of their ids, so that no two orders wait
/// for each other. What is held is read as it is then, not as it was when the statement began; so
/// the new stock is reckoned from what `line` holds. (From the row itself it would be reckoned twice,
/// first as the statement saw it at its beginning, and the table's CHECK judges that too.)
static PLACE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH visitor AS ({ACTIVE_SESSION}),
         wanted AS (
             SELECT product_id, quantity FROM cart_items
             WHERE user_id = (SELECT id FROM visitor) FOR UPDATE),
         line AS (
             SELECT p.id, p.name, p.price, p.stock, w.quantity
             FROM wanted w JOIN products p ON p.id = w.product_id
             WHERE p.deleted_at IS NULL ORDER BY p.id FOR NO KEY UPDATE OF p),
         deal AS (
             SELECT sum(price::numeric * quantity) AS total FROM line
             HAVING count(*) > 0 AND bool_and(quantity <= stock)),
         agreed AS (
             SELECT total::bigint AS total FROM deal
             WHERE total <= {MAX_AMOUNT} AND total = coalesce(?4::bigint, total) AND total >= ?10::bigint),
         taken AS (
             UPDATE products p SET stock = l.stock - l.quantity
             FROM line l, agreed WHERE p.id = l.id RETURNING p.id, p.stock),
         placed AS (
             INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
             SELECT ?5, ?6, ?3, '{order_status}', total, ?2, ?2 FROM agreed RETURNING total),
         items AS (
             INSERT INTO order_items (order_id, product_id, name, price, quantity)
             SELECT ?5, l.id, l.name, l.price, l.quantity FROM line l, agreed),
         payment AS (
             INSERT INTO payments (id, order_id, provider, provider_order_id, status, amount,
                                   transaction_id, created_at, updated_at, due_at)
             SELECT ?7, ?5, ?8, ?9, '{payment_status}', total, NULL, ?2, ?2,
                    CASE WHEN ?9::text IS NULL THEN ?2 END
             FROM agreed),
         movements AS (
             INSERT INTO stock_movements (id, product_id, delta, cause, order_id, note, at)
             SELECT (left(?5::text, 34)
                         || lpad(to_hex(row_number() OVER (ORDER BY l.id) - 1), 2, '0'))::uuid,
                    l.id, -l.quantity, 'order', ?5, NULL, ?2 FROM line l, agreed),
         written AS (
             INSERT INTO outbox (id, recipient, template, data, state, tries, since, due_at,
                                 created_at)
             SELECT ?11::uuid, u.email, '{template}',
                    '{{\"name\":' || to_json(u.name) || ',\"number\":\"' || ?12::text || '\",\"items\":[' ||
                    (SELECT string_agg('{{\"name\":' || to_json(l.name) || ',\"quantity\":' || l.quantity
                                       || ',\"lineTotal\":' || l.price * l.quantity || '}}',
                                       ',' ORDER BY l.id) FROM line l)
                    || '],\"total\":' || total || '}}',
                    'waiting', 0, ?2, ?2, ?2
             FROM users u, agreed WHERE u.id = ?3),
         emptied AS (
             DELETE FROM cart_items c USING wanted w, agreed
             WHERE c.user_id = ?3 AND c.product_id = w.product_id),
         told AS (
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

/// The lines and the total of the order that was placed; none where the steps are to be taken.
pub(in crate::domain::orders) fn place_at_once(
    tx: &mut Tx<'_>,
    claims: &Claims,
    draft: &Draft,
    expected_total: Option<Money>,
    least: Money,
) -> Result<Option<(Vec<OrderItem>, Money)>> {
    let rows = tx.at_once(
        &PLACE,
        params![
            claims.sid,
            tx.now(),
            claims.sub,
            expected_total,
            draft.id,
            draft.number.as_stored(),
            draft.payment.id,
            &draft.payment.provider,
            draft.payment.provider_order_id.as_ref(),
            least,
            draft.mail,
            &draft.number.to_string()
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
        .ok_or_else(|| Error::internal("an order without lines"))?;
    Ok(Some((
        rows.into_iter().map(|(item, _)| item).collect(),
        total,
    )))
}
