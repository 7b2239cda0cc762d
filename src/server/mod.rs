//! The HTTP server: assembles the shared state, routes requests and serves connections.
//!
//! - startup: `startup` builds the [`App`](crate::app::App) from the configuration and the data directory
//!   (`data_dir`, `created_paths`, `file_owner`, `private_file`); `gateway`, `image_store` and `mailer` choose the drivers;
//!   `reindex` updates search keys;
//! - [`backup`] makes backups, [`restore`] restores them; `migrate` migrates the schema, after a backup;
//! - requests: `router` has all routes, [`middleware`] wraps them, `request_checks` rejects some, `problem_response`
//!   writes errors, `request_log` logs and counts requests; `health` (with `checks`), `pages`, `docs` and `console`
//!   answer outside `/api/v1`; [`demo`] signs in to a demo, and `simulator` pays for orders there; [`problems`] and
//!   `rate_limit_classes` collect the domains' declarations;
//! - connections: `accept` runs the accept loops; `connections` limits and evicts; `tls` has the certificate and the
//!   handshake; `connection` serves one connection, and `transport`, `framing`, `fragments`, `deadlines`, `bodies`,
//!   `streams` and `linger` handle its bytes; `redirect` answers on the listener without TLS; [`file_limit`] raises the
//!   limit of open files;
//! - [`running_server`] calls the server that is running, and `webhook_sender` sends it the mock provider's webhooks;
//! - monitoring: [`metrics`]; `disk` determines the free space.

mod accept;
pub mod backup;
mod bodies;
pub mod checks;
mod connection;
mod connections;
mod console;
mod created_paths;
mod data_dir;
mod deadlines;
pub mod demo;
mod disk;
mod docs;
pub mod file_limit;
mod file_owner;
mod fragments;
mod framing;
mod gateway;
mod health;
mod image_store;
mod linger;
mod mailer;
pub mod metrics;
pub mod middleware;
mod migrate;
mod openapi;
mod pages;
mod private_file;
mod problem_response;
pub mod problems;
mod rate_limit_classes;
mod redirect;
mod reindex;
mod request_checks;
mod request_log;
pub mod restore;
mod router;
pub mod running_server;
mod simulator;
mod startup;
mod streams;
mod tls;
mod transport;
mod webhook_sender;

pub use self::{
    accept::{Listeners, serve},
    data_dir::{DataDir, RunningServer, ServerLock},
    file_owner::{check_owner, current_user},
    image_store::aws_variables,
    migrate::migrate,
    openapi::document,
    private_file::write_private_file,
    rate_limit_classes::ROUTE_CLASSES,
    router::router,
    startup::{Parts, SECRETS, check_settings, location, open, preflight},
    tls::{Tls, stored_expiry},
    webhook_sender::WebhookSender,
};
