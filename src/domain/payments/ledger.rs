//! The ledger: entries with their resolution, totals, and the payments to reconcile.

use serde::{Deserialize, Serialize};
use strum::VariantArray;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

use super::{Mismatch, PaymentStatus};
use crate::core::{
    clock::Timestamp,
    id::{OrderId, UserId},
    money::Money,
    text,
};

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
    /// Why an event matches no payment.
    #[serde(skip)]
    pub mismatch: Option<Mismatch>,
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
        let payments = PaymentStatus::VARIANTS.iter().copied();
        [ListedStatus::Unmatched, ListedStatus::Resolved]
            .into_iter()
            .chain(payments.map(ListedStatus::Payment))
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

/// How an entry was resolved.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolution {
    pub at: Timestamp,
    /// The admin. `null` if it was resolved on the command line or by a later report of the provider.
    #[schema(required)]
    pub by: Option<UserId>,
    pub note: String,
}

/// A resolution's note: 1–1000 characters, no control characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Note(String);

impl Note {
    pub const MAX_LEN: usize = 1000;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Note {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let length = text.chars().count();
        if text.trim().is_empty() || length > Self::MAX_LEN || text.chars().any(char::is_control) {
            let max = Self::MAX_LEN;
            return Err(format!(
                "must be 1 to {max} characters without control characters"
            ));
        }
        Ok(Note(text.trim().to_owned()))
    }
}

impl utoipa::PartialSchema for Note {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Note::MAX_LEN))
            .pattern(Some(text::PATTERN))
            .into()
    }
}

impl ToSchema for Note {}
