//! `shop` is an e-commerce backend in one binary: accounts, catalog, carts, orders, payments and live inventory.
//! It is a modular monolith. One instance runs on a `SQLite` file with nothing else installed; several instances
//! share a Postgres database.
//!
//! # Layers
//!
//! Imports go downward only. The tests in `tests/floors` enforce it.
//!
//! | layer | contents |
//! |---|---|
//! | [`server`], [`worker`], [`cli`] | the edge: HTTP server, background timers, command line |
//! | [`domain`] | the business: one module per noun, from [`accounts`] to [`payments`] |
//! | [`app`] | [`App`](crate::app::App), the state that handlers and workers share |
//! | [`infra`] | database, HTTP toolkit, configuration, drivers of external services; does not depend on domains |
//! | [`core`] | values without I/O: errors, ids, money, time, pagination |
//!
//! # Where to look
//!
//! | question | start at |
//! |---|---|
//! | Which routes exist, and in which order does the middleware run? | [`server`] |
//! | What does a request do? | `domain/<noun>/http/`, then the operation that the handler calls |
//! | Which SQL runs? | `domain/<noun>/store/`; no other folder of a domain holds SQL |
//! | How do transactions, retries and group commit work? | [`infra::db`] |
//! | How does the schema change? | `migrations/`, run by [`infra::db`] when the shop opens |
//! | How do stock changes reach browsers? | [`infra::bus`], then [`realtime`] |
//! | What runs in the background? | [`worker`], then [`infra::jobs`] and the `worker` modules of the domains |
//! | How do we talk to Razorpay, S3, Cloudinary or SMTP? | [`infra::ports`] |
//! | Where is a setting declared, and where is it read from? | [`infra::config`], [`cli`] |
//! | How does an error become a status code? | [`core::error`], then [`infra::web`] |
//!
//! # From a request to a row
//!
//! `POST /api/v1/orders` passes three files of [`orders`]:
//!
//! 1. `http/` parses the request into types that cannot hold invalid values, then opens one transaction with
//!    [`Db::write`](crate::infra::db::Db::write).
//! 2. An operation, a plain function over [`&mut Tx`](crate::infra::db::Tx), checks the rules and decides.
//!    Events and emails that it emits are rows of the same transaction.
//! 3. `store/` runs the SQL. Both engines run the same statements.
//!
//! The response is sent after the commit is durable. Side effects, such as emails and messages on the WebSocket,
//! follow the commit.
//!
//! # Conventions
//!
//! - An operation is synchronous and may run again from the start, after a deadlock for example. So it must
//!   have no effects outside its transaction and never wait for anything external.
//! - There is one [`Error`](crate::core::error::Error) type with a kind. Only [`infra::web`] maps kinds to status
//!   codes. The client's text and the logged cause are separate.
//! - Clock, randomness and ids are passed in, so that tests control them ([`core::clock`],
//!   [`core::rng`]).
//! - Money is an integer in the currency's minor unit, time is milliseconds since the Unix epoch.
//!
//! `ARCHITECTURE.md` explains the reasons behind these choices.
//!
//! [`accounts`]: crate::domain::accounts
//! [`orders`]: crate::domain::orders
//! [`payments`]: crate::domain::payments
//! [`realtime`]: crate::domain::realtime

pub mod app;
pub mod cli;
pub mod core;
pub mod domain;
pub mod infra;
pub mod server;
pub mod worker;
