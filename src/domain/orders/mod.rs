//! Orders: placed in one transaction, moved along the arrows of one table, never deleted.

pub mod http;
mod letters;
mod money;
mod number;
mod status;
mod store;
mod verify;
pub mod worker;

use serde::Serialize;
use utoipa::ToSchema;

use self::letters::OrderEmail;
pub use self::{
    money::{receive_payment, refund, retry_payment_job},
    number::OrderNumber,
    status::{Actor, Status, TRANSITIONS, diagram},
    verify::verify,
};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{MailId, OrderId, ProductId, UserId},
        money::{MAX_AMOUNT, Money, Price, Quantity},
        pagination::{CursorPage, List, ListRequest, Position, SortKey},
    },
    domain::{
        cart,
        catalog::{self, Cause},
        payments::{self, Payment},
    },
    infra::{db::Tx, web::token::Claims},
};

/// An order as its customer and admins see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub id: OrderId,
    /// For people, as `7K3M-9QXD`.
    #[schema(value_type = String, example = "7K3M-9QXD")]
    pub number: OrderNumber,
    pub user_id: UserId,
    pub status: Status,
    pub items: Vec<OrderItem>,
    /// In the currency's minor unit.
    pub total_amount: Money,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
    pub payment: Payment,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One line of an order; name and price are those of the purchase.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderItem {
    pub product_id: ProductId,
    pub name: String,
    pub price: Price,
    pub quantity: Quantity,
    pub line_total: Money,
}

impl Order {
    /// Which products, and how many of each.
    fn lines(&self) -> Vec<catalog::Line> {
        self.items
            .iter()
            .map(|item| (item.product_id, item.quantity))
            .collect()
    }
}

/// What a new order will be known by, drawn before anything is looked at, so that chance gives the
/// same whatever comes of it.
#[derive(Debug)]
pub struct Draft {
    id: OrderId,
    number: OrderNumber,
    payment: Payment,
    mail: MailId,
}

impl Draft {
    pub fn new(tx: &Tx<'_>, app: &App) -> Draft {
        let id = tx.id();
        Draft {
            id,
            number: OrderNumber::random(tx.rng()),
            payment: payments::draft(tx, app, id),
            mail: tx.id(),
        }
    }

    fn into_order(
        self,
        tx: &Tx<'_>,
        app: &App,
        user: UserId,
        items: Vec<OrderItem>,
        total: Money,
    ) -> Order {
        Order {
            id: self.id,
            number: self.number,
            user_id: user,
            status: Status::Pending,
            items,
            total_amount: total,
            currency: app.config.currency.code(),
            payment: Payment {
                amount: total,
                ..self.payment
            },
            created_at: tx.now(),
            updated_at: tx.now(),
        }
    }
}

/// As [`place`], for whoever the claims name, by one statement where that serves; else the draft
/// comes back, and the steps are to be taken.
pub fn place_at_once(
    tx: &mut Tx<'_>,
    app: &App,
    claims: &Claims,
    draft: Draft,
    expected_total: Option<Money>,
) -> Result<Result<Order, Draft>> {
    let least = app.gateway.least();
    match store::place_at_once(tx, claims, &draft, expected_total, least)? {
        None => Ok(Err(draft)),
        Some((items, total)) => Ok(Ok(draft.into_order(tx, app, claims.sub, items, total))),
    }
}

/// Makes an order of the customer's cart: stock taken, order, lines and payment written, cart
/// emptied, event recorded, all or nothing.
pub fn place(
    tx: &mut Tx<'_>,
    app: &App,
    user: UserId,
    mut draft: Draft,
    expected_total: Option<Money>,
) -> Result<Order> {
    let mut lines = cart::lines_for_update(tx, app, user)?;
    if lines.is_empty() {
        return Err(Error::conflict("cart-empty", "the cart is empty"));
    }
    let (total_amount, is_capped) = cart::total(&lines)?;
    if is_capped {
        let detail = format!("the cart comes to more than {MAX_AMOUNT}; order less at once");
        return Err(Error::conflict("total-out-of-range", detail));
    }
    if let Some(expected) = expected_total.filter(|expected| *expected != total_amount) {
        let (expected, now) = (expected.get(), total_amount.get());
        let detail = format!("the total is {now} now, not {expected}; show the cart again");
        return Err(Error::conflict("total-changed", detail));
    }
    payments::check_amount(app, total_amount)?;
    // What is short is known before anything is written; the update's own guard stands behind it.
    let short = short_lines(&lines);
    if !short.is_empty() {
        return Err(catalog::insufficient(short));
    }
    lines.sort_by_key(|line| line.product);

    draft.number = store::insert(tx, &draft, user, total_amount)?;
    draft.payment.amount = total_amount;
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
    store::insert_items(tx, draft.id, &items)?;
    payments::open(tx, &draft.payment)?;
    cart::clear(tx, user)?;
    let taken: Vec<_> = lines
        .iter()
        .map(|line| (line.product, line.quantity))
        .collect();
    catalog::take_stock(tx, draft.id, &taken)?;
    let mail = draft.mail;
    let order = draft.into_order(tx, app, user, items, total_amount);
    OrderEmail::Placed(mail).write(tx, &order, None)?;
    Ok(order)
}

fn short_lines(lines: &[cart::Line]) -> Vec<crate::core::error::Field> {
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

/// What a list of orders is narrowed to; all of it at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filters {
    pub user: Option<UserId>,
    pub status: Option<Status>,
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
}

impl Filters {
    /// The same for every list that is narrowed alike.
    pub fn scope(&self) -> String {
        format!("orders {self:?}")
    }
}

/// One part of the orders, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    app: &App,
    filters: &Filters,
    part: &ListRequest,
) -> Result<List<Order>> {
    match part {
        ListRequest::Page(page) => store::page(tx, app, filters, *page).map(List::Page),
        ListRequest::CursorRequest(walk) => {
            // One order more tells whether there is anything behind.
            let limit = walk.limit + 1;
            let after = walk.after.as_ref().map(|place| OrderId(place.id));
            let mut data = store::behind(tx, app, filters, after, limit)?;
            let goes_on = i64::try_from(data.len()).is_ok_and(|count| count == limit);
            data.truncate(usize::try_from(walk.limit).unwrap_or_default());
            let last = data.last().filter(|_| goes_on).map(|last| Position {
                key: SortKey::Number(last.created_at.0),
                id: last.id.0,
                is_similar: false,
            });
            let next_cursor = last.map(|place| walk.cursor(&place)).transpose()?;
            Ok(List::CursorPage(CursorPage { data, next_cursor }))
        }
    }
}

/// An order by its id; with `owner`, somebody else's is not found.
pub fn order(tx: &mut Tx<'_>, app: &App, id: OrderId, owner: Option<UserId>) -> Result<Order> {
    store::by_id(tx, app, id)?
        .filter(|order| owner.is_none_or(|owner| order.user_id == owner))
        .ok_or_else(|| Error::not_found("order"))
}

/// An order by its id or its number, as people name it.
pub fn order_by_name(tx: &mut Tx<'_>, app: &App, name: &str) -> Result<Order> {
    let id = match name.parse::<OrderId>() {
        Ok(id) => Some(id),
        Err(_) => store::id_by_number(tx, &OrderNumber::normal(name))?,
    };
    let id = id.ok_or_else(|| Error::not_found("order"))?;
    order(tx, app, id, None)
}

/// Moves an order along an arrow of the table, and writes to its customer. A cancelled one gives its
/// stock back.
pub fn transition(
    tx: &mut Tx<'_>,
    app: &App,
    current: &Order,
    next: Status,
    mover: Actor,
) -> Result<Order> {
    if !current.status.can_transition_to(next, mover) {
        let (from, to) = (current.status.as_str(), next.as_str());
        let detail = format!("an order that is {from} cannot become {to} this way");
        return Err(Error::conflict("illegal-transition", detail));
    }
    store::set_status(tx, current.id, current.status, next)?;
    if next == Status::Cancelled {
        let cause = match mover {
            Actor::Clock => Cause::Expiry,
            _ => Cause::Cancel,
        };
        catalog::put_back(tx, current.id, &current.lines(), cause)?;
    }
    if let Some(letter) = OrderEmail::about(next) {
        letter.write(tx, current, None)?;
    }
    order(tx, app, current.id, None)
}

/// What a customer needs to open the provider's checkout.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentSession {
    #[schema(example = "razorpay")]
    pub provider: String,
    /// What the shop is known by there; no secret.
    pub key_id: String,
    pub provider_order_id: String,
    pub amount: Money,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
}

/// What there is to pay, and at the provider that is set, how it calls the order; none: it does not know
/// of the order yet.
pub fn payment_session(app: &App, order: &Order) -> Result<Option<PaymentSession>> {
    if order.status != Status::Pending {
        let status = order.status.as_str();
        let detail = format!("an order that is {status} waits for no payment");
        return Err(Error::conflict("illegal-transition", detail));
    }
    let payment = &order.payment;
    let own = payment.provider == app.gateway.name();
    let id = payment.provider_order_id.clone().filter(|_| own);
    if id.is_none() {
        // Another provider may be set than the one that the order was placed under.
        payments::check_amount(app, payment.amount)?;
    }
    Ok(id.map(|provider_order_id| PaymentSession {
        provider: payment.provider.clone(),
        key_id: app.gateway.key_id().to_owned(),
        provider_order_id,
        amount: payment.amount,
        currency: order.currency,
    }))
}
