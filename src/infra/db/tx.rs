//! The transaction handle that an operation receives.

use uuid::Uuid;

use super::{Connection, Row, Sql, Value};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        event::{Event, StockChange},
        rng::Rng,
    },
    infra::db::params,
};

/// The INSERT of an event without a sequence number (Postgres). `changes` is a JSON array of
/// [`StockChange`]. The publisher assigns the number after the commit.
pub(crate) const UNSEQUENCED_EVENTS: &str = "INSERT INTO fresh_events (at, changes)";

/// An open transaction. It commits if the operation returns `Ok` and rolls back if it returns `Err`.
pub struct Tx<'a> {
    connection: &'a mut dyn Connection,
    now: Timestamp,
    rng: &'a Rng,
    emitted: bool,
    pub(super) discards_mail: bool,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: &'a mut dyn Connection, now: Timestamp, rng: &'a Rng) -> Self {
        Tx {
            connection,
            now,
            rng,
            emitted: false,
            discards_mail: false,
        }
    }

    /// Returns the time at which the transaction started; constant for the whole transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn rng(&self) -> &'a Rng {
        self.rng
    }

    /// Returns a new id (`UUIDv7`). Ids of later timestamps sort later.
    pub fn id<T: From<Uuid>>(&self) -> T {
        self.rng.uuid(self.now).into()
    }

    /// Runs a statement. Returns the number of changed rows.
    pub fn execute<'s>(&mut self, sql: impl Into<Sql<'s>>, args: &[Value<'_>]) -> Result<u64> {
        self.connection.execute(sql.into(), args)
    }

    /// Returns the first row of a query, or `None` if there is none.
    pub fn one<'s, T>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut first = None;
        self.connection.query(sql.into(), args, &mut |row| {
            first = Some(read(row)?);
            Ok(false)
        })?;
        Ok(first)
    }

    /// Returns all rows of a query, in the query's order.
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

    /// Calls `each` for every row of a query, in the query's order.
    pub fn each<'s>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.connection
            .query(sql.into(), args, &mut |row| each(row).map(|()| true))
    }

    /// Runs the whole operation as a single autocommit statement to save round trips (Postgres only).
    ///
    /// The statement must return rows if it wrote, and no row if it wrote nothing. `emits` states whether it
    /// also inserted events.
    ///
    /// - `Some(rows)`: the statement has committed. The operation must not run further statements.
    /// - `None`: nothing was written, because the statement returned no row, another statement ran before, or
    ///   the engine is `SQLite`. The operation must run its normal statements.
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

    /// Inserts an event in this transaction. Listeners receive it after the commit, in commit order.
    ///
    /// Call it after writing the rows it describes. Then their row locks keep the events of one row in order.
    pub fn emit(&mut self, event: &Event) -> Result<()> {
        let Event::Inventory(changes) = event;
        let body = serde_json::to_string(changes).map_err(Error::internal)?;
        // SQLite's single writer assigns the sequence number here. Clean-up keeps the newest row, so the
        // numbers never restart. On Postgres, where transactions write concurrently, the publisher assigns
        // the number after the commit.
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

    /// Like [`Tx::emit`], for any number of products: inserts as many events as needed.
    pub fn emit_stock(&mut self, changes: &[StockChange]) -> Result<()> {
        for chunk in changes.chunks(Event::MAX_PRODUCTS) {
            self.emit(&Event::Inventory(chunk.to_vec()))?;
        }
        Ok(())
    }

    /// Returns whether this process is the only writer of the database (`SQLite`). Then writes are serialized
    /// anyway, and a shared counter row causes no lock contention.
    pub fn is_single_writer(&self) -> bool {
        self.connection.is_single_writer()
    }

    pub(crate) fn has_emitted(&self) -> bool {
        self.emitted
    }
}

/// Checks that the database answers queries.
pub fn ping(tx: &mut Tx<'_>) -> Result<()> {
    tx.one("SELECT 1", &[], |_| Ok(())).map(drop)
}
