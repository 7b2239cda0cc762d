//! What an operation holds: a transaction, its one `now`, and the statements it may run.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::{Row, Sql, Value};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        event::{Event, StockChange},
        id::{MailId, UserId},
        rng::Rng,
    },
    infra::db::params,
};

/// An engine's connection, inside a transaction.
pub(crate) trait Connection {
    /// Runs a statement and tells how many rows it changed.
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64>;

    /// Runs a statement and hands each row over, as long as `each` says `true`.
    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()>;

    /// Runs a statement that is a whole transaction by itself; tells whether it gave rows. An engine
    /// within this process has no use for it.
    fn at_once(
        &mut self,
        _sql: &str,
        _args: &[Value<'_>],
        _each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// See [`Tx::is_single_writer`].
    fn is_single_writer(&self) -> bool;
}

/// How events are written where the publisher numbers them: `changes` is JSON, an array of
/// [`StockChange`].
pub(crate) const UNSEQUENCED_EVENTS: &str = "INSERT INTO fresh_events (at, changes)";

/// A transaction. It ends with the closure that was given it: committed on `Ok`, undone on `Err`.
pub struct Tx<'a> {
    connection: &'a mut dyn Connection,
    now: Timestamp,
    rng: &'a Rng,
    emitted: bool,
    writes_no_mail: bool,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: &'a mut dyn Connection, now: Timestamp, rng: &'a Rng) -> Self {
        Tx {
            connection,
            now,
            rng,
            emitted: false,
            writes_no_mail: false,
        }
    }

    /// The one moment of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn rng(&self) -> &'a Rng {
        self.rng
    }

    /// A new id, later than all before it by the clock.
    pub fn id<T: From<Uuid>>(&self) -> T {
        self.rng.uuid(self.now).into()
    }

    /// Runs a statement and tells how many rows it changed.
    pub fn execute<'s>(&mut self, sql: impl Into<Sql<'s>>, args: &[Value<'_>]) -> Result<u64> {
        self.connection.execute(sql.into(), args)
    }

    /// The first row, or none.
    pub fn one<'s, T>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.connection.query(sql.into(), args, &mut |row| {
            found = Some(read(row)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// All rows, in the statement's order.
    pub fn all<'s, T>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.each(sql, args, |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Hands each row over, in the statement's order.
    pub fn each<'s>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.connection
            .query(sql.into(), args, &mut |row| each(row).map(|()| true))
    }

    /// Does a whole operation by one statement, for an engine to which each is a journey. It must
    /// give a row where it wrote, and none where it did not: then, as where an engine has no use for
    /// it, the answer is none, and the operation is to be done step by step. After rows, nothing more
    /// can be run. `emits` tells that it wrote events as well.
    pub fn at_once<T>(
        &mut self,
        postgres: &str,
        args: &[Value<'_>],
        emits: bool,
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let mut rows = Vec::new();
        let done = self.connection.at_once(postgres, args, &mut |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        self.emitted |= done && emits;
        Ok(done.then_some(rows))
    }

    /// Writes the event's row in this transaction; listeners hear it after the commit, never
    /// before, in the order of commits. Call it after the rows it tells of are written.
    pub fn emit(&mut self, event: &Event) -> Result<()> {
        let Event::Inventory(changes) = event;
        let body = serde_json::to_string(changes).map_err(Error::internal)?;
        // One writer numbers its events as it writes them, and the last row always stays, so that
        // the next number never falls back. Where several write, the publisher numbers what they
        // have committed.
        self.execute(
            Sql::either(
                "INSERT INTO events (seq, at, changes)
                 VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM events), ?1, ?2)",
                &format!("{UNSEQUENCED_EVENTS} VALUES (?1, ?2)"),
            ),
            params![self.now, &body],
        )?;
        self.emitted = true;
        Ok(())
    }

    /// As [`Tx::emit`], for any number of products.
    pub fn emit_stock(&mut self, changes: &[StockChange]) -> Result<()> {
        for part in changes.chunks(Event::MOST_PRODUCTS) {
            self.emit(&Event::Inventory(part.to_vec()))?;
        }
        Ok(())
    }

    /// Leaves a mail in the outbox, in this transaction: the worker renders `template` with `data`
    /// and sends it to the address `to` after the commit, as often as it takes.
    pub fn mail(&mut self, to: &str, template: &str, data: &impl Serialize) -> Result<()> {
        let id = self.id();
        self.mail_as(id, to, template, data)
    }

    /// As [`Tx::mail`], for a template with a link that only `user` may open. Each attempt to send the
    /// mail makes a token for it; the outbox holds what the link is for.
    pub fn mail_with_link(
        &mut self,
        to: &str,
        template: &str,
        data: &impl Serialize,
        link: (&str, UserId),
    ) -> Result<()> {
        let id = self.id();
        self.write_mail(id, to, template, data, Some(link))
    }

    /// Deletes the mails with a link of that purpose for `user` that were not sent yet.
    pub fn withdraw_mails(&mut self, purpose: &str, user: UserId) -> Result<()> {
        self.execute(
            "DELETE FROM outbox
             WHERE link_user_id = ?2 AND link_purpose = ?1 AND state <> 'sent'",
            params![purpose, user],
        )?;
        Ok(())
    }

    /// As [`Tx::mail`], under an id that was drawn before.
    pub fn mail_as(
        &mut self,
        id: MailId,
        to: &str,
        template: &str,
        data: &impl Serialize,
    ) -> Result<()> {
        self.write_mail(id, to, template, data, None)
    }

    fn write_mail(
        &mut self,
        id: MailId,
        to: &str,
        template: &str,
        data: &impl Serialize,
        link: Option<(&str, UserId)>,
    ) -> Result<()> {
        if self.writes_no_mail {
            return Ok(());
        }
        let data = serde_json::to_string(data).map_err(Error::internal)?;
        let (purpose, user) = link.unzip();
        self.execute(
            "INSERT INTO outbox (id, recipient, template, data, link_purpose, link_user_id, state,
                                 tries, since, due_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?6, ?7, 'waiting', 0, ?5, ?5, ?5)",
            params![id, to, template, &data, self.now, purpose, user],
        )?;
        Ok(())
    }

    /// From here on no mail is written: for people who are made up.
    pub fn write_no_mail(&mut self) {
        self.writes_no_mail = true;
    }

    /// Whether nobody writes this database at the same time, ever. What others would wait for each other
    /// at can be kept there.
    pub fn is_single_writer(&self) -> bool {
        self.connection.is_single_writer()
    }

    pub(crate) fn has_emitted(&self) -> bool {
        self.emitted
    }
}

/// Proves that the database answers.
pub fn ping(tx: &mut Tx<'_>) -> Result<()> {
    tx.one("SELECT 1", &[], |_| Ok(())).map(drop)
}

/// Whether the timer called `name` is to run now: of several programs on one database, one is told
/// so, and by it the others no more until `every` has passed. Clocks may differ by less than that;
/// one that was set back by more is no reason to wait longer.
pub fn try_claim_timer(tx: &mut Tx<'_>, name: &str, every: Duration) -> Result<bool> {
    let span = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let now = tx.now();
    let due = Timestamp(now.0.saturating_sub(span));
    let absurd = Timestamp(now.0.saturating_add(span));
    let claimed = tx.execute(
        "INSERT INTO timers (name, ran_at) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET ran_at = excluded.ran_at
         WHERE timers.ran_at <= ?3 OR timers.ran_at > ?4",
        params![name, now, due, absurd],
    )?;
    Ok(claimed == 1)
}

/// As [`setting`], and whoever else asks for it so waits until this transaction ends.
pub fn setting_for_update(tx: &mut Tx<'_>, name: &str, first: &str) -> Result<String> {
    setting(tx, name, first)?;
    let sql = Sql::from("SELECT value FROM settings WHERE name = ?1").for_update("settings");
    tx.one(sql, params![name], |row| row.get(0))?
        .ok_or_else(|| Error::internal("a setting was not kept"))
}

/// Replaces a value that [`setting`] keeps.
pub fn set_setting(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<()> {
    let sql = "UPDATE settings SET value = ?2 WHERE name = ?1";
    tx.execute(sql, params![name, value]).map(drop)
}

/// The value that is set once and for ever under `name`: the kept one, or else `first`.
pub fn setting(tx: &mut Tx<'_>, name: &str, first: &str) -> Result<String> {
    tx.execute(
        "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        params![name, first],
    )?;
    tx.one(
        "SELECT value FROM settings WHERE name = ?1",
        params![name],
        |row| row.get(0),
    )?
    .ok_or_else(|| Error::internal("a setting was not kept"))
}

/// Adds one to the number that is kept under `name`, from 0, and returns it.
pub fn count_up(tx: &mut Tx<'_>, name: &str) -> Result<i64> {
    tx.execute(
        "INSERT INTO settings (name, value) VALUES (?1, '1') ON CONFLICT (name) DO UPDATE
         SET value = CAST(CAST(settings.value AS BIGINT) + 1 AS TEXT)",
        params![name],
    )?;
    let sql = "SELECT CAST(value AS BIGINT) FROM settings WHERE name = ?1";
    let number = tx.one(sql, params![name], |row| row.get(0))?;
    number.ok_or_else(|| Error::internal("a number was not kept"))
}
