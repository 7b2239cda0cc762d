//! Payments: one for each order, and every event that the provider sent, as it came.
//!
//! A webhook may be repeated, late, lost or out of order: what is applied rests on the payment's
//! state and on the provider's payment id being unique, never on the order of arrival.

mod event;
pub mod http;
pub mod signature;
mod store;
mod verify;

use serde::Serialize;
use utoipa::ToSchema;

pub use self::{
    event::{Delivery, Effect, receive},
    verify::verify,
};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::{OrderId, PaymentId},
    money::Money,
    page::{Page, PageRequest},
    web::App,
};

/// Where a payment stands: `CREATED|FAILED → CAPTURED → REFUNDED`, `CREATED → FAILED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PaymentStatus {
    Created,
    Failed,
    Captured,
    Refunded,
}

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
}

/// An order's payment, as orders show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    #[schema(example = "mock")]
    pub provider: String,
    /// The provider's id of the order, to open its checkout with.
    pub provider_order_id: Option<String>,
    pub status: PaymentStatus,
    pub amount: Money,
    pub refunded_amount: Money,
    /// The provider's id of the payment, once the money is captured.
    pub transaction_id: Option<String>,
    pub refunds: Vec<Refund>,
    #[serde(skip)]
    pub order: OrderId,
}

/// Money on its way back.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refund {
    pub id: String,
    pub amount: Money,
    #[schema(example = "PROCESSED")]
    pub status: String,
}

/// The payment of a new order, not written yet. With a provider that needs the network, its order id
/// comes later: a checkout never waits for it.
pub fn draft(tx: &Tx<'_>, app: &App, order: OrderId) -> Payment {
    Payment {
        id: tx.id(),
        provider: app.gateway.name().to_owned(),
        provider_order_id: app.gateway.order_id_at_once(tx.now(), tx.chance()),
        status: PaymentStatus::Created,
        amount: Money::ZERO,
        refunded_amount: Money::ZERO,
        transaction_id: None,
        refunds: Vec::new(),
        order,
    }
}

/// Writes the payment of a new order.
pub fn open(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    store::insert(tx, payment)
}

/// The payments of some orders.
pub fn of_orders(tx: &mut Tx<'_>, orders: &[OrderId]) -> Result<Vec<Payment>> {
    store::of_orders(tx, orders)
}

/// A payment or an event as admins see it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    pub id: uuid::Uuid,
    /// `unmatched`, `captured`, `refunded`, `failed` or `created`.
    pub status: String,
    pub order_id: Option<OrderId>,
    /// The provider's id of the payment.
    pub transaction_id: Option<String>,
    pub amount: Option<i64>,
    /// Why a person must see it.
    pub reason: Option<String>,
    pub created_at: Timestamp,
}

/// Payments by status, or the events that fit no payment, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    status: Option<ListedStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    match status {
        Some(ListedStatus::Unmatched) => store::unmatched(tx, page),
        Some(ListedStatus::Payment(status)) => store::list(tx, Some(status), page),
        None => store::list(tx, None, page),
    }
}

/// What a list of payments may be narrowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedStatus {
    Unmatched,
    Payment(PaymentStatus),
}

impl ListedStatus {
    pub fn parse(text: &str) -> Option<ListedStatus> {
        if text == "unmatched" {
            return Some(ListedStatus::Unmatched);
        }
        PaymentStatus::ALL
            .into_iter()
            .find(|status| status.as_str().to_lowercase() == text)
            .map(ListedStatus::Payment)
    }
}
