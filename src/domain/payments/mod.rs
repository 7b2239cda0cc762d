//! Payments: one for each order, its refunds, and every event that the provider sent, as it came.
//!
//! A webhook may be repeated, late, lost or out of order: what is applied rests on the payment's
//! state and on the provider's payment id being unique, never on the order of arrival.

mod due;
mod event;
pub mod http;
mod jobs;
mod refund;
mod resolve;
pub mod signature;
mod store;
mod verdict;
mod verify;

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

pub use self::{
    due::{
        OrderDue, RefundDue, is_any_due, note_order, note_refund, put_off_order, put_off_refund,
        stop_making, take_orders, take_refunds,
    },
    event::{Delivery, Effect, Receipt, receive},
    jobs::{drop_job, jobs, retry_job},
    refund::{Refund, RefundCause, RefundStatus, Refunded, refund},
    resolve::{Note, Resolution, resolve},
    store::{Recorded, Totals},
    verify::verify,
};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{OrderId, PaymentId},
        money::Money,
        pagination::{Page, PageRequest},
    },
    infra::db::Tx,
};

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PaymentStatus {
    Created,
    /// The customer may pay again.
    Failed,
    Captured,
    /// All of it went back.
    Refunded,
}

/// Every arrow there is: from and to.
const TRANSITIONS: &[(PaymentStatus, PaymentStatus)] = &[
    (PaymentStatus::Created, PaymentStatus::Failed),
    (PaymentStatus::Created, PaymentStatus::Captured),
    (PaymentStatus::Failed, PaymentStatus::Captured),
    (PaymentStatus::Captured, PaymentStatus::Refunded),
];

impl PaymentStatus {
    const ALL: [PaymentStatus; 4] = [
        PaymentStatus::Created,
        PaymentStatus::Failed,
        PaymentStatus::Captured,
        PaymentStatus::Refunded,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            PaymentStatus::Created => "CREATED",
            PaymentStatus::Failed => "FAILED",
            PaymentStatus::Captured => "CAPTURED",
            PaymentStatus::Refunded => "REFUNDED",
        }
    }

    fn parse(text: &str) -> Option<PaymentStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether there is an arrow to `next`.
    pub fn can_transition_to(self, next: PaymentStatus) -> bool {
        TRANSITIONS.contains(&(self, next))
    }
}

/// An order's payment, as orders show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    #[schema(example = "mock")]
    pub provider: String,
    /// The provider's id of the order, to open its checkout with.
    #[schema(required)]
    pub provider_order_id: Option<String>,
    pub status: PaymentStatus,
    pub amount: Money,
    /// What went back, or is on its way.
    pub refunded_amount: Money,
    /// The provider's id of the payment, once the money is captured.
    #[schema(required)]
    pub transaction_id: Option<String>,
    pub refunds: Vec<Refund>,
    #[serde(skip)]
    pub order: OrderId,
    /// Whether it is not the order's own, but money that came once more.
    #[serde(skip)]
    pub(crate) is_duplicate: bool,
}

impl Payment {
    /// Money that came once more for the same order: an account of its own, which orders do not show.
    fn duplicate(&self, transaction_id: &str, refunds: Vec<Refund>) -> Payment {
        let gone = refunds
            .iter()
            .filter(|it| it.status != RefundStatus::Failed);
        let (refunded_amount, _) = Money::capped_sum(gone.map(|it| it.amount));
        Payment {
            status: PaymentStatus::Captured,
            refunded_amount,
            transaction_id: Some(transaction_id.to_owned()),
            refunds,
            is_duplicate: true,
            ..self.clone()
        }
    }

    /// The provider's id of money that came once more; `None` for an order's own payment.
    fn duplicate_id(&self) -> Option<&str> {
        self.transaction_id.as_deref().filter(|_| self.is_duplicate)
    }

    /// What could still go back.
    pub fn rest(&self) -> Money {
        match self.status {
            PaymentStatus::Captured => self.amount.less(self.refunded_amount),
            _ => Money::ZERO,
        }
    }
}

/// The payment of a new order, not written yet. With a provider that needs the network, its order id
/// comes later: a checkout never waits for it.
pub fn draft(tx: &Tx<'_>, app: &App, order: OrderId) -> Payment {
    Payment {
        id: tx.id(),
        provider: app.gateway.name().to_owned(),
        provider_order_id: app.gateway.order_id_at_once(tx.now(), tx.rng()),
        status: PaymentStatus::Created,
        amount: Money::ZERO,
        refunded_amount: Money::ZERO,
        transaction_id: None,
        refunds: Vec::new(),
        order,
        is_duplicate: false,
    }
}

/// Refuses a sum that the provider does not take.
pub fn check_amount(app: &App, amount: Money) -> Result<()> {
    let least = app.gateway.least();
    if amount >= least {
        return Ok(());
    }
    let detail = format!("the payment provider takes {} and more", least.get());
    Err(Error::conflict("amount-too-small", detail))
}

/// Writes the payment of a new order.
pub fn open(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    store::insert(tx, payment)
}

/// The payments of some orders.
pub fn of_orders(tx: &mut Tx<'_>, orders: &[OrderId]) -> Result<Vec<Payment>> {
    store::of_orders(tx, orders)
}

/// The payment of an order, kept for this transaction. It is held before its order is.
pub fn hold(tx: &mut Tx<'_>, order: OrderId) -> Result<Payment> {
    store::hold(tx, order)?.ok_or_else(|| Error::not_found("order"))
}

/// As [`hold`], or with the provider's id of money that came once more, the account of that.
fn hold_account(
    tx: &mut Tx<'_>,
    order: OrderId,
    duplicate: Option<&str>,
) -> Result<Option<Payment>> {
    let Some(own) = store::hold(tx, order)? else {
        return Ok(None);
    };
    let Some(id) = duplicate else {
        return Ok(Some(own));
    };
    let refunds = store::of_duplicate(tx, id)?;
    Ok(Some(own.duplicate(id, refunds)))
}

/// A payment or an event as admins see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    pub id: uuid::Uuid,
    #[schema(value_type = ListedStatus)]
    pub status: String,
    #[schema(required)]
    pub order_id: Option<OrderId>,
    /// The provider's id of the payment.
    #[schema(required)]
    pub transaction_id: Option<String>,
    #[schema(required)]
    pub amount: Option<i64>,
    /// What went back, or is on its way.
    pub refunded_amount: Money,
    /// Why a person must see it.
    #[schema(required)]
    pub reason: Option<String>,
    pub created_at: Timestamp,
    /// Present once it is off the list for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resolution: Option<Resolution>,
}

/// Payments by status, or the events that fit no payment, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    status: Option<ListedStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    match status {
        Some(ListedStatus::Unmatched) => store::unmatched(tx, false, page),
        Some(ListedStatus::Resolved) => store::unmatched(tx, true, page),
        Some(ListedStatus::Payment(status)) => store::list(tx, Some(status), page),
        None => store::list(tx, None, page),
    }
}

/// What a list of payments may be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedStatus {
    Unmatched,
    /// What was unmatched until somebody, or the provider's later report, settled it.
    Resolved,
    Payment(PaymentStatus),
}

impl ListedStatus {
    fn all() -> impl Iterator<Item = ListedStatus> {
        let payments = PaymentStatus::ALL.into_iter().map(ListedStatus::Payment);
        [ListedStatus::Unmatched, ListedStatus::Resolved]
            .into_iter()
            .chain(payments)
    }

    fn name(self) -> String {
        match self {
            ListedStatus::Unmatched => "unmatched".to_owned(),
            ListedStatus::Resolved => "resolved".to_owned(),
            ListedStatus::Payment(status) => status.as_str().to_lowercase(),
        }
    }

    /// All names, for an error.
    pub fn names() -> String {
        let names: Vec<_> = Self::all()
            .map(|status| format!("`{}`", status.name()))
            .collect();
        names.join(", ")
    }

    pub fn parse(text: &str) -> Option<ListedStatus> {
        Self::all().find(|status| status.name() == text)
    }
}

impl utoipa::PartialSchema for ListedStatus {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(ListedStatus::all().map(ListedStatus::name)))
            .into()
    }
}

impl ToSchema for ListedStatus {}

/// Payments that the provider may know more of than the shop, by their orders: those placed since then,
/// and those with a refund on its way. Up to `most`, behind `after`.
pub fn to_compare(
    tx: &mut Tx<'_>,
    provider: &str,
    since: OrderId,
    after: OrderId,
    most: i64,
) -> Result<Vec<Recorded>> {
    store::to_compare(tx, provider, since, after, most)
}

/// All that was captured, went back, and fits no order.
pub fn totals(tx: &mut Tx<'_>) -> Result<Totals> {
    store::totals(tx)
}
