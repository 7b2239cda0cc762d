//! An e-commerce backend that is one program: accounts, catalog, carts, orders, payments and live
//! stock on one `SQLite` file.
//!
//! The modules stand on floors; each imports from those above it in this list, never from below
//! (`tests/floors.rs` sees to it):
//!
//! - words: [`error`], [`id`], [`money`], [`clock`], [`page`], [`event`], [`finding`],
//!   [`job`], [`config`], [`text`]
//! - machines, which know no word of the shop: [`file_modes`], [`db`], [`bus`], [`ports`], [`web`]
//! - the shop: [`accounts`], [`media`], [`catalog`], [`cart`], [`payments`], [`orders`],
//!   [`mail`], [`realtime`]; in each, `mod.rs` has types and operations, `store.rs` the SQL, `http.rs` the
//!   routes
//! - the edge: [`server`], [`worker`], [`cli`]
//!
//! A request walks three files of one folder: `orders/http.rs::place_order` →
//! `orders/mod.rs::place` → `orders/store.rs::insert`. `ARCHITECTURE.md` tells the whole way.

pub mod clock;
pub mod config;
pub mod error;
pub mod event;
pub mod finding;
pub mod id;
pub mod job;
pub mod money;
pub mod page;
pub mod text;

pub mod bus;
pub mod db;
pub mod file_modes;
pub mod ports;
pub mod web;

pub mod accounts;
pub mod cart;
pub mod catalog;
pub mod mail;
pub mod media;
pub mod orders;
pub mod payments;
pub mod realtime;

pub mod cli;
pub mod server;
pub mod worker;
