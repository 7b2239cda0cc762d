//! The messages of the server.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::core::{
    clock::Timestamp,
    error::{Error, Result},
    event::{Positioned, StockChange},
};

/// A message from the server.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LiveMessage {
    /// The first message: updates after `seq` follow.
    Hello { seq: i64 },
    /// Updates are missing, since they are not available any more: read the products again. Updates after `seq` follow.
    Resync { seq: i64 },
    /// Stock has changed.
    InventoryUpdate(InventoryUpdate),
    /// The answer to `subscribe`.
    Subscribed { seq: i64 },
    /// The answer to a message that is not understood.
    Error {
        code: &'static str,
        message: &'static str,
    },
}

/// The stock of products after a change.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InventoryUpdate {
    /// The sequence number of the last event that is complete with this message.
    pub seq: i64,
    /// The sequence number of the first event of this message, if it merges several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    pub merged_from: Option<i64>,
    pub at: Timestamp,
    pub products: Vec<StockChange>,
}

impl LiveMessage {
    pub(super) fn to_json(&self) -> Result<Bytes> {
        let json = serde_json::to_vec(self).map_err(Error::internal)?;
        Ok(json.into())
    }

    pub(super) fn at(self, seq: i64) -> Result<Positioned> {
        let json = self.to_json()?;
        Ok(Positioned { seq, json })
    }

    /// Returns the first message to a subscriber.
    pub(super) fn hello(seq: i64) -> Result<Positioned> {
        LiveMessage::Hello { seq }.at(seq)
    }

    pub(super) fn resync(seq: i64) -> Result<Positioned> {
        LiveMessage::Resync { seq }.at(seq)
    }
}
