//! What a person has dealt with: off the list, with a note of who did what.

use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};
use uuid::Uuid;

use super::{
    LedgerEntry, store,
    verdict::{STUCK, UNMATCHED, UNREADABLE},
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::UserId,
        text,
    },
    infra::db::Tx,
};

/// How something that needed a person was settled.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resolution {
    pub at: Timestamp,
    /// The admin; `null` where it was done on the command line, or followed from what the provider
    /// reported later.
    #[schema(required)]
    pub by: Option<UserId>,
    pub note: String,
}

/// What was done about it: 1–1000 characters, no control characters.
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
            let most = Self::MAX_LEN;
            return Err(format!(
                "must be 1 to {most} characters without control characters"
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

/// Takes an unmatched event off the list for a person. One that is off already stays as it is.
/// A failed refund of money that was paid twice leaves its list with it.
///
/// Errors: `not-found`; `not-unmatched` where the id is that of a payment, or of an event that was applied.
pub fn resolve(tx: &mut Tx<'_>, id: Uuid, by: Option<UserId>, note: &Note) -> Result<LedgerEntry> {
    let Some((entry, outcome)) = store::event(tx, id)? else {
        return Err(if store::is_payment(tx, id)? {
            not_unmatched()
        } else {
            Error::not_found("payment")
        });
    };
    if entry.resolution.is_some() {
        return Ok(entry);
    }
    if !outcome.starts_with(UNMATCHED) && outcome != UNREADABLE {
        return Err(not_unmatched());
    }
    store::resolve_event(tx, id, by, note.as_str())?;
    if outcome == STUCK
        && let (Some(order), Some(duplicate)) = (entry.order_id, &entry.transaction_id)
        && let Some(payment) = super::hold_account(tx, order, Some(duplicate))?
    {
        for (refund, _) in store::failed_refunds(tx, &payment)? {
            store::resolve_refund(tx, refund, by, note.as_str())?;
        }
    }
    let (entry, _) = store::event(tx, id)?.ok_or_else(|| Error::not_found("payment"))?;
    Ok(entry)
}

fn not_unmatched() -> Error {
    Error::conflict("not-unmatched", "only an unmatched payment can be resolved")
}
