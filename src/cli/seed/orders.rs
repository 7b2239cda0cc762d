//! Sample orders. They are placed and paid by the same operations as real ones.

use std::{sync::Arc, time::Duration};

use super::random::pick;
use crate::{
    app::App,
    cli::progress,
    core::{
        error::Result,
        id::{OrderId, ProductId, UserId},
        money::Quantity,
    },
    domain::{
        cart::{self, CartOwner},
        catalog, orders,
        payments::Delivery,
        settlement,
    },
    infra::{
        db::Tx,
        ports::{Gateway, gateway::SimulatedCheckout},
    },
};

/// Places and pays up to `count` orders. Returns how many: an order is skipped if its products are sold out.
pub(super) async fn create_orders(
    app: &Arc<App>,
    customers: &[UserId],
    products: &[ProductId],
    count: u64,
) -> Result<u64> {
    if customers.is_empty() || products.is_empty() {
        return Ok(0);
    }
    let bar = progress::bar(count, "orders");
    let mut created = 0;
    for _ in 0..count {
        let customer = *pick(&app.rng, customers);
        let items: Vec<ProductId> = (0..=app.rng.below(3))
            .map(|_| *pick(&app.rng, products))
            .collect();
        let gateway = Arc::clone(&app.gateway);
        let placed = app
            .db
            .write("seed.order", move |tx| {
                create_paid_order(tx, &*gateway, customer, &items)
            })
            .await?;
        created += u64::from(placed.is_some());
        app.clock.advance(Duration::from_secs(1));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(created)
}

/// Places and pays an order. Returns its id, or `None` if none of the products is in stock.
pub(super) fn create_paid_order(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    customer: UserId,
    products: &[ProductId],
) -> Result<Option<OrderId>> {
    tx.discard_mail();
    let owner = CartOwner::Account(customer);
    let mut added = Vec::new();
    for id in products {
        let product = catalog::product(tx, *id)?;
        let variants = catalog::with_variants(tx, product)?.variants;
        let available = variants.iter().find(|variant| variant.stock_quantity > 0);
        if let Some(variant) = available
            && !added.contains(id)
        {
            let selection = cart::Selection::Variant(variant.id);
            let addition = cart::Addition::prefetch(tx, owner, selection, Quantity::ONE)?;
            cart::add(tx, owner, addition)?;
            added.push(*id);
        }
    }
    if added.is_empty() {
        return Ok(None);
    }
    let new = orders::NewOrder::prefetch(tx, gateway, customer)?;
    let order = orders::place(tx, new, None)?;
    let payment = settlement::simulate_payment(tx, &order, SimulatedCheckout::default())?;
    // The first webhook, `payment.captured`, is sufficient.
    if let Some(webhook) = payment.webhooks.into_iter().next() {
        let delivery = Delivery::unsigned(gateway, Some(&webhook.event_id), webhook.body);
        settlement::receive(tx, gateway, &delivery)?;
    }
    Ok(Some(order.id))
}
