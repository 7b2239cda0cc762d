//! The shop's tests, in one binary: a module per domain. Each test goes through the public surface.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod accounts;
mod audit;
mod backup;
mod browser;
mod cart;
mod catalog;
mod cli;
mod clients;
mod conformance;
mod durability;
mod files;
mod floors;
mod gateway;
mod guarantees;
mod http_api;
mod http_hardening;
mod images;
mod instances;
mod live;
mod logs;
mod notifications;
mod observability;
mod orders;
mod packaging;
mod payments;
mod postgres;
mod proxies;
mod readme;
mod settings;
mod simulation;
mod storage;
mod support;
mod tls;
mod transfer;
mod upgrade;
mod verify;
