//! What every route shares: the state, the extractors, the answers, and the manners at the edge.
//!
//! It knows HTTP and no word of the shop.

pub mod body;
pub mod client;
pub mod edge;
pub mod extract;
pub mod idempotency;
pub mod keyed_hash;
pub mod limits;
pub mod openapi;
pub mod problems;
mod query;
pub mod respond;
pub mod shares;
pub mod single_flight;
mod skipped;
pub mod token;
mod turns;
mod workers;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::{
    body::BodyBudget, keyed_hash::KeyedHash, limits::Limits, shares::Shares,
    single_flight::SharedCheck, token::Tokens,
};
pub use self::{
    turns::Turns,
    workers::{Places, Worker, Workers},
};
use crate::{
    bus::Bus,
    clock::{Chance, Clock},
    config::{Config, Secret},
    db::Db,
    ports::{Gateway, ImageStore, Mailer, Sms},
};

/// The state that handlers share.
pub struct App {
    pub db: Db,
    pub bus: Bus,
    pub clock: Clock,
    pub chance: Chance,
    pub config: Config,
    /// Where links and image URLs lead; no slash at the end.
    pub public_url: String,
    /// The path of the public URL, e.g. `/store`; usually empty. The proxy in front strips it.
    pub base_path: String,
    pub tokens: Tokens,
    /// Hashes the networks that accounts know.
    pub networks: KeyedHash,
    pub webhook_secrets: Vec<Secret>,
    pub images: Arc<dyn ImageStore>,
    pub gateway: Arc<dyn Gateway>,
    pub mailer: Arc<dyn Mailer>,
    pub sms: Arc<dyn Sms>,
    /// Where passwords are hashed; each slot reuses its own memory blocks.
    pub hashing: Workers<Vec<argon2::Block>>,
    /// Where pictures are decoded, one at a time.
    pub imaging: Worker,
    /// Permits to hold whole files of pictures in memory, one for each KiB.
    pub sending: Places,
    /// Which resized pictures are being made.
    pub narrowing: Turns,
    pub limits: Limits,
    /// Live connections.
    pub sockets: Shares,
    /// Requests in progress of clients behind trusted proxies.
    pub proxied_requests: Shares,
    /// Bytes of large responses that are being written.
    pub response_bytes: Shares,
    /// The memory of request bodies.
    pub bodies: BodyBudget,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// Whether the database takes writes.
    pub readiness: SharedCheck,
    /// Conversations that are under way on live connections.
    pub talks: tokio_util::task::TaskTracker,
    /// Cancelled when the server stops taking work.
    pub stopping: CancellationToken,
    /// Whether the demo console is shown.
    pub demo: bool,
}

/// The state, as handlers take it.
pub type State = axum::extract::State<Arc<App>>;

/// A domain's routes with their documentation.
pub type Routes = utoipa_axum::router::OpenApiRouter<Arc<App>>;
