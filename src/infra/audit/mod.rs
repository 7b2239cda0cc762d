//! The audit log: who changed what, through the API, on the command line, or as the program itself. An entry is
//! written in the transaction of the change.
//!
//! A transaction that has an actor ([`Tx::set_actor`]) is audited: operations record their changes by
//! [`Tx::audit`], which does nothing without an actor, since customers' own changes have their own records.
//!
//! Entries are never changed or deleted; triggers refuse it. Each has the hash of the one before it, see `chain`.
//! Numbers and hashes are assigned by SQLite's only writer in the transaction, and on Postgres by the publisher
//! after the commit.

mod chain;
mod entry;
mod list;

use std::{fmt::Display, sync::Arc};

pub use self::{
    chain::{Break, Head, check, verify},
    entry::{Entry, EntryActor, Target},
    list::{Filters, Selector, list, page},
};
use self::{
    chain::{GENESIS, next_hash},
    entry::{CONTENT, Content},
};
use crate::{
    core::{
        audit::{Action, Actor, Changes},
        error::{Error, Result},
    },
    infra::db::{Tx, Value, params, placeholders},
};

impl Tx<'_> {
    /// Has the changes of this transaction recorded as those of `actor`.
    pub fn set_actor(&mut self, actor: Arc<Actor>) {
        self.actor = Some(actor);
    }

    /// Adds an entry to the audit log, if the transaction has an actor. An update that changes nothing adds none.
    /// `target` is `None` if the action is not about one row.
    pub fn audit(
        &mut self,
        action: Action,
        target: Option<&dyn Display>,
        changes: impl FnOnce() -> Changes,
    ) -> Result<()> {
        let Some(actor) = self.actor.clone() else {
            return Ok(());
        };
        let changes = changes();
        if action.is_update() && changes.is_empty() {
            return Ok(());
        }
        let target = target.map(ToString::to_string);
        let changes = serde_json::to_string(&changes).map_err(Error::internal)?;
        let address = actor.origin.address.map(|address| address.to_string());
        let content = Content {
            at: self.now(),
            actor_type: actor.kind.as_str(),
            actor_id: actor.id.as_deref(),
            actor_name: &actor.name,
            action: action.as_str(),
            target_type: action.target_type(),
            target_id: target.as_deref(),
            changes: &changes,
            request_id: actor.origin.request_id.as_deref(),
            address: address.as_deref(),
        };
        if self.is_single_writer() {
            insert(self, &content)
        } else {
            stage(self, &content)
        }
    }
}

/// Inserts an entry with its number and hash.
fn insert(tx: &mut Tx<'_>, content: &Content<'_>) -> Result<()> {
    let last = tx.one(
        "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
        &[],
        |row| Ok((row.get::<i64>("seq")?, row.get::<Vec<u8>>("hash")?)),
    )?;
    let (last, previous) = last.unwrap_or_else(|| (0, GENESIS.to_vec()));
    let seq = last + 1;
    let hash = next_hash(&previous, seq, &content.digest());
    let own = params![seq, previous.as_slice(), hash.as_slice()];
    insert_row(tx, "audit", "seq, previous, hash", own, content)
}

/// Inserts an entry that the publisher gives its number and hash.
fn stage(tx: &mut Tx<'_>, content: &Content<'_>) -> Result<()> {
    let digest = content.digest();
    let own = params![digest.as_slice()];
    insert_row(tx, "unsequenced_audit", "digest", own, content)?;
    tx.wake_publisher();
    Ok(())
}

/// Inserts the content of an entry, after the table's own columns.
fn insert_row(
    tx: &mut Tx<'_>,
    table: &str,
    own_columns: &str,
    own: &[Value<'_>],
    content: &Content<'_>,
) -> Result<()> {
    let args = [own, &content.values()].concat();
    let values = placeholders(args.len(), 1);
    let sql = format!("INSERT INTO {table} ({own_columns}, {CONTENT}) VALUES {values}");
    tx.expect(&sql, &args, 1, || {
        Error::internal("an audit entry was not inserted")
    })
}
