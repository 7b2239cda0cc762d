//! Checkout: turns a cart into an order, all or nothing.

use super::{
    NewOrder, Order, OrderItem, Status,
    notifications::OrderEmail,
    order::item_id,
    problems::{CART_EMPTY, TOTAL_CHANGED, TOTAL_OUT_OF_RANGE},
    store,
};
use crate::{
    core::{
        error::{Error, Result},
        id::OrderId,
        money::{MAX_AMOUNT, Money},
    },
    domain::{
        cart::{self, CartOwner},
        catalog::{self, Shortage, StockedVariant, Taken},
        payments,
    },
    infra::db::Tx,
};

/// Places an order for everything in the customer's cart: takes the stock, writes order, line items and
/// payment, empties the cart and queues the confirmation email.
///
/// Errors: `cart-empty`, `total-out-of-range`, `total-changed`, `amount-too-small`, `insufficient-stock`.
pub fn place(tx: &mut Tx<'_>, new: NewOrder, expected_total: Option<Money>) -> Result<Order> {
    let mut lines = new.lines.result(tx)?;
    let total = check_total(&lines, expected_total)?;
    let payment = new.payment.with_amount(total)?;
    let short = short_lines(&lines);
    if !short.is_empty() {
        return Err(catalog::insufficient(&short));
    }
    lines.sort_by_key(|line| (line.product, line.variant));
    let number = match tx.result(new.number_taken_by)? {
        None => new.number,
        Some(_) => store::unused_number(tx)?,
    };
    let recipient = tx
        .result(new.recipient)?
        .ok_or_else(|| Error::not_found("account"))?;

    let order = Order {
        id: new.id,
        number,
        user_id: new.user,
        status: Status::Pending,
        items: order_items(new.id, &lines)?,
        total_amount: total,
        currency: tx.settings().currency.code(),
        payment,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    store::insert(tx, &order)?;
    store::insert_items(tx, order.id, &order.items)?;
    payments::open(tx, &order.payment)?;
    cart::clear(tx, CartOwner::Account(order.user_id))?;
    let taken: Vec<_> = lines.iter().map(taken).collect();
    catalog::take_stock(tx, order.id, &taken)?;
    OrderEmail::Placed(new.mail).enqueue_to(tx, &recipient, &order, None)?;
    Ok(order)
}

fn order_items(order: OrderId, lines: &[cart::Line]) -> Result<Vec<OrderItem>> {
    let lines = lines.iter().enumerate();
    let items = lines.map(|(position, line)| {
        Ok(OrderItem {
            id: item_id(order, position),
            variant_id: line.variant,
            product_id: line.product,
            sku: line.sku.clone(),
            title: line.options.title(),
            options: line.options.clone(),
            name: line.name.clone(),
            price: line.price,
            quantity: line.quantity,
            line_total: line.price.times(line.quantity)?,
        })
    });
    items.collect()
}

fn taken(line: &cart::Line) -> Taken {
    Taken {
        variant: StockedVariant {
            id: line.variant,
            product: line.product,
            has_own_stock: !line.options.is_empty(),
        },
        quantity: line.quantity,
        stock: line.stock,
        product_stock: line.product_stock,
    }
}

fn check_total(lines: &[cart::Line], expected: Option<Money>) -> Result<Money> {
    if lines.is_empty() {
        return Err(CART_EMPTY.error("the cart is empty"));
    }
    let (total, is_capped) = cart::total(lines)?;
    if is_capped {
        let detail = format!("the cart totals more than {MAX_AMOUNT}; split the order");
        return Err(TOTAL_OUT_OF_RANGE.error(detail));
    }
    if let Some(expected) = expected.filter(|expected| *expected != total) {
        let (expected, now) = (expected.get(), total.get());
        let detail = format!("the total is now {now}, not {expected}; show the cart again");
        return Err(TOTAL_CHANGED.error(detail));
    }
    Ok(total)
}

fn short_lines(lines: &[cart::Line]) -> Vec<Shortage<'_>> {
    let lines = lines.iter().enumerate();
    lines
        .filter_map(|(index, line)| line.shortage(|| format!("items[{index}].quantity")))
        .collect()
}
