//! An entry of the audit log: its content as it is hashed, and as the API shows it.

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::{
    core::{
        audit::{Action, ActorType, Change},
        clock::Timestamp,
        error::{Error, Result},
    },
    infra::db::{Cell, Row, Value, params, transfer::hash_cell},
};

/// The columns of [`Content`].
pub(super) const CONTENT: &str = "at, actor_type, actor_id, actor_name, action, target_type, target_id, changes, \
     request_id, address";

/// The columns that an entry's digest covers.
pub(super) struct Content<'a> {
    pub(super) at: Timestamp,
    pub(super) actor_type: &'a str,
    pub(super) actor_id: Option<&'a str>,
    pub(super) actor_name: &'a str,
    pub(super) action: &'a str,
    pub(super) target_type: &'a str,
    pub(super) target_id: Option<&'a str>,
    /// A JSON array of [`Change`]s.
    pub(super) changes: &'a str,
    pub(super) request_id: Option<&'a str>,
    pub(super) address: Option<&'a str>,
}

impl<'a> Content<'a> {
    pub(super) fn from_row(row: &'a Row<'a>) -> Result<Content<'a>> {
        Ok(Content {
            at: row.get("at")?,
            actor_type: row.get("actor_type")?,
            actor_id: row.get("actor_id")?,
            actor_name: row.get("actor_name")?,
            action: row.get("action")?,
            target_type: row.get("target_type")?,
            target_id: row.get("target_id")?,
            changes: row.get("changes")?,
            request_id: row.get("request_id")?,
            address: row.get("address")?,
        })
    }

    /// Returns the values of [`CONTENT`].
    pub(super) fn values(&self) -> [Value<'_>; 10] {
        *params![
            self.at,
            self.actor_type,
            self.actor_id,
            self.actor_name,
            self.action,
            self.target_type,
            self.target_id,
            self.changes,
            self.request_id,
            self.address
        ]
    }

    /// Returns SHA-256 over the columns in this order, each with its type and length first.
    pub(super) fn digest(&self) -> [u8; 32] {
        let text = |text: Option<&'a str>| text.map_or(Cell::Null, Cell::Text);
        let cells = [
            Cell::Int(self.at.0),
            Cell::Text(self.actor_type),
            text(self.actor_id),
            Cell::Text(self.actor_name),
            Cell::Text(self.action),
            Cell::Text(self.target_type),
            text(self.target_id),
            Cell::Text(self.changes),
            text(self.request_id),
            text(self.address),
        ];
        let mut hasher = Sha256::new();
        for cell in cells {
            hash_cell(&mut hasher, cell);
        }
        hasher.finalize().into()
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// The number of the entry: 1, 2, 3 … without gaps.
    pub seq: i64,
    pub at: Timestamp,
    pub actor: EntryActor,
    #[schema(value_type = Action)]
    pub action: String,
    pub target: Target,
    /// The fields that changed. Texts are cut after 200 characters.
    pub changes: Vec<Change>,
    /// The `X-Request-Id` of the request; `null` if there was none.
    #[schema(required)]
    pub request_id: Option<String>,
    /// The address of the client; `null` if there was no request.
    #[schema(required)]
    pub address: Option<String>,
}

/// Who made a change.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditActor)]
pub struct EntryActor {
    #[serde(rename = "type")]
    #[schema(value_type = ActorType)]
    pub kind: String,
    /// The account's id; `null` for the command line and the program itself.
    #[schema(required)]
    pub id: Option<String>,
    /// The name of the account, or of the user of the operating system.
    pub name: String,
}

/// What was changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditTarget)]
pub struct Target {
    /// The resource, e.g. `order`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `null` if the action is not about one row.
    #[schema(required)]
    pub id: Option<String>,
}

pub(super) fn entry(row: &Row<'_>) -> Result<Entry> {
    let content = Content::from_row(row)?;
    Ok(Entry {
        seq: row.get("seq")?,
        at: content.at,
        actor: EntryActor {
            kind: content.actor_type.to_owned(),
            id: content.actor_id.map(str::to_owned),
            name: content.actor_name.to_owned(),
        },
        action: content.action.to_owned(),
        target: Target {
            kind: content.target_type.to_owned(),
            id: content.target_id.map(str::to_owned),
        },
        changes: serde_json::from_str(content.changes).map_err(Error::internal)?,
        request_id: content.request_id.map(str::to_owned),
        address: content.address.map(str::to_owned),
    })
}
