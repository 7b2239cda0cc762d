//! What admins and reconciliation read: ledger entries, totals and known payments.

use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

use super::{PaymentStatus, Resolution};
use crate::core::{clock::Timestamp, id::OrderId, money::Money};

/// A payment or an unmatched event, as admins see it.
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
    /// The sum of the refunds that are processed or pending.
    pub refunded_amount: Money,
    /// Why an admin should look at it.
    #[schema(required)]
    pub reason: Option<String>,
    pub created_at: Timestamp,
    /// Present once it is resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resolution: Option<Resolution>,
}

/// The status by which ledger entries are filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedStatus {
    Unmatched,
    /// Was unmatched, until an admin or a later report of the provider resolved it.
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

    /// Returns all names, for an error message.
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

/// A payment as the shop knows it, to compare with the provider's record.
#[derive(Debug, Clone)]
pub struct KnownPayment {
    pub order: OrderId,
    pub provider_order_id: String,
    pub status: PaymentStatus,
    pub transaction_id: Option<String>,
    /// The sum of the processed refunds.
    pub refunded: Money,
}

/// Totals of all payments and events, in the currency's minor unit, each at most 2^53 − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Captured for orders, including duplicate payments.
    pub captured: Money,
    /// Processed refunds.
    pub refunded: Money,
    /// Unmatched and not resolved; each payment of the provider counts once.
    pub unmatched: Money,
    /// Present and `true` if a sum is larger than shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub totals_are_capped: bool,
}
