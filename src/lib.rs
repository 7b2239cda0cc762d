//! An e-commerce backend in one program: accounts, catalog, carts, orders, payments and live stock on one
//! `SQLite` file, or on Postgres with several instances.
//!
//! Imports go downward only (`tests/floors` checks it):
//!
//! | layer | holds |
//! |---|---|
//! | [`core`] | values without I/O |
//! | [`infra`] | database, HTTP, external services, configuration |
//! | [`app`] | the state that handlers and workers share |
//! | [`domain`] | the shop, one folder for each noun |
//! | [`server`], [`worker`], [`cli`] | the edge |
//!
//! A request passes three files of one folder, e.g. `orders/http/customer.rs::place_order` →
//! `orders/place.rs::place` → `orders/store/mod.rs::insert`. `ARCHITECTURE.md` explains why.

pub mod app;
pub mod cli;
pub mod core;
pub mod domain;
pub mod infra;
pub mod server;
pub mod worker;
