//! What a webhook reports, whichever provider sent it.

use strum::{EnumString, IntoStaticStr};

use crate::core::column::text_columns;

/// What happened at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    PaymentCaptured,
    PaymentFailed,
    RefundProcessed,
    RefundFailed,
    /// Any other event; it is stored and ignored.
    Other,
    /// The body has a valid signature but cannot be parsed.
    Unreadable,
}

text_columns!(EventKind);

/// An event of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayEvent {
    /// The provider's id of the event.
    pub id: Option<String>,
    /// The provider's own name of the event, kept as evidence.
    pub name: Option<String>,
    pub kind: EventKind,
    pub payment: Option<ReportedPayment>,
    pub refund: Option<ReportedRefund>,
}

/// A payment in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedPayment {
    pub id: String,
    /// In the currency's minor unit. Not validated: it can be any number.
    pub amount: i64,
    pub currency: String,
    /// The provider's id of the order.
    pub order_id: Option<String>,
}

/// A refund in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedRefund {
    pub id: String,
    /// In the currency's minor unit. Not validated: it can be any number.
    pub amount: i64,
    pub payment_id: String,
    /// The shop's own id of the refund, if the shop requested it.
    pub reference: Option<String>,
}

impl GatewayEvent {
    /// Returns an event whose body cannot be parsed.
    pub(super) fn unreadable() -> GatewayEvent {
        GatewayEvent {
            id: None,
            name: None,
            kind: EventKind::Unreadable,
            payment: None,
            refund: None,
        }
    }

    /// Returns the provider's id of the order.
    pub fn order_id(&self) -> Option<&str> {
        self.payment.as_ref()?.order_id.as_deref()
    }

    /// Returns the provider's id of the payment, which a refund names as well.
    pub fn payment_id(&self) -> Option<&str> {
        let refunded = self
            .refund
            .as_ref()
            .map(|refund| refund.payment_id.as_str());
        refunded.or(self.payment.as_ref().map(|payment| payment.id.as_str()))
    }

    /// Returns the provider's id of the refund.
    pub fn refund_id(&self) -> Option<&str> {
        self.refund.as_ref().map(|refund| refund.id.as_str())
    }

    /// Returns the amount of the refund, else of the payment.
    pub fn amount(&self) -> Option<i64> {
        let refunded = self.refund.as_ref().map(|refund| refund.amount);
        refunded.or(self.payment.as_ref().map(|payment| payment.amount))
    }
}
