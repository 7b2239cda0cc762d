//! The state that handlers and workers share: settings, clock, random numbers, ports and database.

use std::sync::Arc;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::{
    core::{clock::Clock, rng::Rng},
    infra::{
        bus::Bus,
        config::{Config, Secret},
        db::Db,
        ports::{Gateway, ImageStore, Mailer, Sms},
        web::{
            KeyedLocks, Permits, Worker, Workers, body::BodyBudget, keyed_hash::KeyedHash,
            limits::Limits, shares::Shares, single_flight::SharedCheck, token::Tokens,
        },
    },
};

/// The state that handlers share.
pub struct App {
    pub db: Db,
    pub bus: Bus,
    pub clock: Clock,
    pub rng: Rng,
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
    pub hash_pool: Workers<Vec<argon2::Block>>,
    /// Where pictures are decoded, one at a time.
    pub image_pool: Worker,
    /// Permits to hold whole files of pictures in memory, one for each KiB.
    pub upload_permits: Permits,
    /// Which resized pictures are being made.
    pub resize_locks: KeyedLocks,
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
    pub background_tasks: tokio_util::task::TaskTracker,
    /// Cancelled when the server stops taking work.
    pub stopping: CancellationToken,
    /// Whether the demo console is shown.
    pub demo: bool,
}

/// The state, as handlers take it.
pub type State = axum::extract::State<Arc<App>>;

/// A domain's routes with their documentation.
pub type Routes = utoipa_axum::router::OpenApiRouter<Arc<App>>;

impl FromRef<Arc<App>> for Tokens {
    fn from_ref(app: &Arc<App>) -> Tokens {
        app.tokens.clone()
    }
}
