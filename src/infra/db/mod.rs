//! The storage layer: one API over `SQLite` and `PostgreSQL`.
//!
//! An *operation* is a synchronous closure over a [`Tx`]. [`Db::read`], [`Db::long_read`] and [`Db::write`]
//! run it in one transaction; its SQL is written once and runs on both engines. A `Backend` hides the engine;
//! [`Db::open`] chooses it from the database URL.
//!
//! | | `SQLite` | `PostgreSQL` |
//! |---|---|---|
//! | connections | one writer thread, a pool of readers | a pool of threads, one connection each |
//! | isolation of writes | serialized by the single writer | READ COMMITTED, row locks ([`Sql::for_update`]) |
//! | isolation of reads | WAL snapshot | REPEATABLE READ snapshot |
//! | durability | WAL, group commit, overlapping fsync | WAL, `synchronous_commit = on` |
//! | sequence numbers of events | assigned in the transaction | assigned after the commit by the publisher |
//!
//! Both engines guarantee:
//!
//! - [`Db::write`] returns after the commit is durable.
//! - The engine may roll a transaction back and run its closure again, so closures are `FnMut` and must not
//!   have side effects outside the [`Tx`].
//! - Transactions do not nest and do not await: a closure has a [`Tx`] and no [`Db`].

mod backend;
mod cache;
mod context;
mod database;
mod fair_semaphore;
pub mod integrity;
mod location;
pub mod migrate;
mod operation;
mod options;
pub mod postgres;
mod queue;
mod row;
pub mod snapshot;
mod sql;
pub mod sqlite;
mod stored_settings;
mod timers;
pub mod transfer;
mod tx;

pub use self::{
    backend::Load,
    cache::{CacheTag, CacheVersion},
    context::Context,
    database::Db,
    location::Location,
    operation::Outcome,
    options::{Options, WalArchiving},
    postgres::Postgres,
    row::Row,
    sql::{Sql, placeholders},
    sqlite::Sqlite,
    stored_settings::{
        count_up, delete_setting, find_setting, insert_setting, set_setting, setting,
        setting_for_update,
    },
    timers::try_claim_timer,
    tx::{Prefetched, Tx, ping},
};
pub(crate) use self::{
    backend::{Access, Backend, Connection, Expected, Ticket},
    operation::Operation,
    row::{Cells, ColumnNames},
};
pub use crate::core::column::{Cell, Column, Value, params};
