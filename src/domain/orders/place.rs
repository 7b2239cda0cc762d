//! Checkout: turns a cart into an order, all or nothing.

use super::{NewOrder, Order, OrderItem, notifications::OrderEmail, store};
use crate::{
    app::App,
    core::{
        error::{Error, Field, Result},
        id::UserId,
        money::{MAX_AMOUNT, Money},
    },
    domain::{cart, catalog, payments},
    infra::{db::Tx, web::token::Claims},
};

/// Places an order in a single statement (Postgres only), for the user in the claims. Returns the new order's
/// identifiers unused where that does not apply; the caller then runs [`place`].
pub fn place_at_once(
    tx: &mut Tx<'_>,
    app: &App,
    claims: &Claims,
    new: NewOrder,
    expected_total: Option<Money>,
) -> Result<Result<Order, NewOrder>> {
    let min_amount = app.gateway.min_amount();
    match store::place_at_once(tx, claims, &new, expected_total, min_amount)? {
        None => Ok(Err(new)),
        Some((items, total)) => Ok(Ok(new.into_order(tx, app, claims.sub, items, total))),
    }
}

/// Places an order for everything in the customer's cart: takes the stock, writes order, line items and
/// payment, empties the cart and queues the confirmation email.
///
/// Errors: `cart-empty`, `total-out-of-range`, `total-changed`, `amount-too-small`, `insufficient-stock`.
pub fn place(
    tx: &mut Tx<'_>,
    app: &App,
    user: UserId,
    mut new: NewOrder,
    expected_total: Option<Money>,
) -> Result<Order> {
    let mut lines = cart::lines_for_update(tx, app, user)?;
    let total = check_total(&lines, expected_total)?;
    payments::check_amount(app, total)?;
    // Checked before anything is written. The UPDATE of the stock has a guard of its own.
    let short = short_lines(&lines);
    if !short.is_empty() {
        return Err(catalog::insufficient(short));
    }
    lines.sort_by_key(|line| line.product);

    new.number = store::insert(tx, &new, user, total)?;
    new.payment.amount = total;
    let items = lines
        .iter()
        .map(|line| {
            Ok(OrderItem {
                product_id: line.product,
                name: line.name.clone(),
                price: line.price,
                quantity: line.quantity,
                line_total: line.price.times(line.quantity)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    store::insert_items(tx, new.id, &items)?;
    payments::open(tx, &new.payment)?;
    cart::clear(tx, user)?;
    let taken: Vec<_> = lines
        .iter()
        .map(|line| (line.product, line.quantity))
        .collect();
    catalog::take_stock(tx, new.id, &taken)?;
    let mail = new.mail;
    let order = new.into_order(tx, app, user, items, total);
    OrderEmail::Placed(mail).enqueue(tx, &order, None)?;
    Ok(order)
}

fn check_total(lines: &[cart::Line], expected: Option<Money>) -> Result<Money> {
    if lines.is_empty() {
        return Err(Error::conflict("cart-empty", "the cart is empty"));
    }
    let (total, is_capped) = cart::total(lines)?;
    if is_capped {
        let detail = format!("the cart totals more than {MAX_AMOUNT}; split the order");
        return Err(Error::conflict("total-out-of-range", detail));
    }
    if let Some(expected) = expected.filter(|expected| *expected != total) {
        let (expected, now) = (expected.get(), total.get());
        let detail = format!("the total is now {now}, not {expected}; show the cart again");
        return Err(Error::conflict("total-changed", detail));
    }
    Ok(total)
}

fn short_lines(lines: &[cart::Line]) -> Vec<Field> {
    lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.quantity.get() > line.stock)
        .map(|(index, line)| {
            let field = format!("items[{index}].quantity");
            catalog::shortage(field, line.product, line.quantity.get(), line.stock)
        })
        .collect()
}
