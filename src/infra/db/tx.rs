//! The transaction handle that an operation receives.

use std::sync::Arc;

use uuid::Uuid;

use super::{CacheTag, Connection, Context, Expected, Row, Sql, Ticket, Value};
use crate::{
    core::{
        audit::Actor,
        clock::Timestamp,
        error::{Error, Result},
        event::{Event, StockChange},
        rng::Rng,
        shop_settings::ShopSettings,
    },
    infra::db::params,
};

/// A query that was sent ahead; [`Tx::result`] returns its result. On `Postgres` it shares a round trip with the
/// statements that follow.
pub struct Prefetched<T>(Source<T>);

enum Source<T> {
    Ready(T),
    Ticket(Ticket, Collect<T>),
}

type Collect<T> = Box<dyn FnOnce(&mut dyn Connection, Ticket) -> Result<T>>;

/// An open transaction. It commits if the operation returns `Ok` and rolls back if it returns `Err`.
pub struct Tx<'a> {
    connection: &'a mut dyn Connection,
    now: Timestamp,
    context: &'a Context,
    emitted: bool,
    pub(crate) discards_mail: bool,
    /// Whose changes the audit log records; `None` if they are not recorded.
    pub(crate) actor: Option<Arc<Actor>>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(connection: &'a mut dyn Connection, context: &'a Context) -> Self {
        Tx {
            connection,
            now: context.clock.now(),
            context,
            emitted: false,
            discards_mail: false,
            actor: None,
        }
    }

    /// Returns the time at which the transaction started; constant for the whole transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn rng(&self) -> &'a Rng {
        &self.context.rng
    }

    pub fn settings(&self) -> &'a ShopSettings {
        &self.context.settings
    }

    /// Returns a new id (`UUIDv7`). Ids of later timestamps sort later.
    pub fn id<T: From<Uuid>>(&self) -> T {
        self.rng().uuid(self.now).into()
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

    /// Like [`Tx::each`], until `each` returns `false`.
    pub fn each_while<'s>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        self.connection.query(sql.into(), args, &mut each)
    }

    /// Runs a statement that must change `rows` rows. Otherwise the operation fails with the given error.
    ///
    /// On Postgres the statement is pipelined: it is sent with the next statement that returns something, or before
    /// COMMIT, and checked then. If several fail, the error is that of the first. The transaction commits only if
    /// all of them succeeded.
    pub fn expect<'s>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        rows: usize,
        otherwise: impl FnOnce() -> Error + Send + 'static,
    ) -> Result<()> {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let otherwise = Box::new(otherwise);
        let expected = Expected { rows, otherwise };
        self.connection
            .execute_pipelined(sql.into(), args, Some(expected))
    }

    /// Like [`Tx::expect`], for any number of rows.
    pub fn execute_pipelined<'s>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
    ) -> Result<()> {
        self.connection.execute_pipelined(sql.into(), args, None)
    }

    /// Prefetches the first row of a query. On Postgres the query is pipelined, on `SQLite` it runs at once.
    pub fn prefetch_one<'s, T: 'static>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T> + 'static,
    ) -> Result<Prefetched<Option<T>>> {
        let sql = sql.into();
        let Some(ticket) = self.connection.prefetch(sql, args)? else {
            return Ok(Prefetched(Source::Ready(self.one(sql, args, read)?)));
        };
        let collect: Collect<Option<T>> = Box::new(move |connection, ticket| {
            let mut found = None;
            connection.receive(ticket, &mut |row| {
                found = Some(read(row)?);
                Ok(false)
            })?;
            Ok(found)
        });
        Ok(Prefetched(Source::Ticket(ticket, collect)))
    }

    /// Like [`Tx::prefetch_one`], for all rows.
    pub fn prefetch_all<'s, T: 'static>(
        &mut self,
        sql: impl Into<Sql<'s>>,
        args: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T> + 'static,
    ) -> Result<Prefetched<Vec<T>>> {
        let sql = sql.into();
        let Some(ticket) = self.connection.prefetch(sql, args)? else {
            return Ok(Prefetched(Source::Ready(self.all(sql, args, read)?)));
        };
        let collect: Collect<Vec<T>> = Box::new(move |connection, ticket| {
            let mut rows = Vec::new();
            connection.receive(ticket, &mut |row| {
                rows.push(read(row)?);
                Ok(true)
            })?;
            Ok(rows)
        });
        Ok(Prefetched(Source::Ticket(ticket, collect)))
    }

    /// Returns the result of a prefetched query.
    pub fn result<T>(&mut self, prefetched: Prefetched<T>) -> Result<T> {
        match prefetched.0 {
            Source::Ready(result) => Ok(result),
            Source::Ticket(ticket, collect) => collect(self.connection, ticket),
        }
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
        self.expect(
            Sql::either(
                "INSERT INTO events (seq, at, changes)
                 VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM events), ?1, ?2)",
                "INSERT INTO fresh_events (at, changes) VALUES (?1, ?2)",
            ),
            params![self.now, &body],
            1,
            || Error::internal("an event was not inserted"),
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

    /// Makes cached results with this tag outdated once the transaction commits.
    pub fn invalidate(&mut self, tag: CacheTag) {
        if let Some(tags) = &self.context.cache_tags {
            tags.invalidate(tag);
        }
    }

    /// Returns whether this process is the only writer of the database (`SQLite`). Then writes are serialized
    /// anyway, and a shared counter row causes no lock contention.
    pub fn is_single_writer(&self) -> bool {
        self.connection.is_single_writer()
    }

    pub(crate) fn has_emitted(&self) -> bool {
        self.emitted
    }

    /// Wakes the publisher after the commit (Postgres), for rows that it gives their numbers.
    pub(crate) fn wake_publisher(&mut self) {
        self.emitted = true;
    }
}

/// Checks that the database answers queries.
pub fn ping(tx: &mut Tx<'_>) -> Result<()> {
    tx.one("SELECT 1", &[], |_| Ok(())).map(drop)
}
