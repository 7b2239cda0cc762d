//! The state that handlers and workers share: configuration, clock, random numbers, ports and database.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::{
    core::{
        clock::{Clock, Timestamp},
        rng::Rng,
        shop_settings::ShopSettings,
    },
    infra::{
        bus::Bus,
        config::{Config, Secret, is_loopback_origin, origin_of},
        db::Db,
        ports::{Gateway, ImageStore, Mailer, Sms},
        web::{
            BlockingPool, ClientTimeouts, DedicatedThread, Permits, body::BodyBudget,
            client_quota::ClientQuota, jwt::AccessTokens, keyed_hash::KeyedHash,
            rate_limits::RateLimits, refused_origins::RefusedOrigins,
            response_cache::ResponseCache, single_flight::SharedCheck,
        },
    },
};

/// The shared state.
pub struct App {
    pub db: Db,
    pub bus: Bus,
    pub clock: Clock,
    pub rng: Rng,
    pub config: Config,
    /// The path of the public URL, e.g. `/store`; usually empty. The reverse proxy strips it from requests.
    pub base_path: String,
    pub tokens: AccessTokens,
    /// Hashes the networks from which users have signed in.
    pub networks: KeyedHash,
    /// Makes the token of the link that creates the first admin.
    pub first_admin: KeyedHash,
    pub webhook_secrets: Vec<Secret>,
    pub images: Arc<dyn ImageStore>,
    pub gateway: Arc<dyn Gateway>,
    pub mailer: Arc<dyn Mailer>,
    pub sms: Arc<dyn Sms>,
    /// Hashes passwords, with reused memory blocks.
    pub hash_pool: BlockingPool<Vec<argon2::Block>>,
    /// Decodes and resizes images, one at a time.
    pub image_pool: DedicatedThread,
    /// Permits for holding whole image files in memory, one per KiB.
    pub upload_permits: Permits,
    /// Locks that serialise concurrent requests for the same image thumbnail, by its key.
    pub resize_locks: moka::sync::Cache<String, Arc<tokio::sync::Mutex<()>>>,
    pub limits: RateLimits,
    pub refused_origins: RefusedOrigins,
    pub timeouts: ClientTimeouts,
    pub responses: ResponseCache,
    /// Open live connections: `WebSockets` and event streams.
    pub sockets: ClientQuota,
    /// Requests in progress that share a connection: those through trusted proxies, and those of HTTP/2.
    pub multiplexed_requests: ClientQuota,
    /// Bytes of large responses that are being written.
    pub response_bytes: ClientQuota,
    /// The memory budget for request bodies.
    pub bodies: BodyBudget,
    /// The maximum number of open connections.
    pub max_connections: usize,
    /// Checks that the database accepts writes, for `/readyz`.
    pub readiness: SharedCheck,
    pub certificate_expiry: CertificateExpiry,
    /// Tasks that a stopping server waits for: those of `WebSocket` clients, and job loops.
    pub background_tasks: tokio_util::task::TaskTracker,
    /// Cancelled when the server begins to stop.
    pub stopping: CancellationToken,
    /// Whether this is a demo, which serves the console at `/`.
    pub demo: bool,
    /// Derives the passwords and sign-in links of a demo's accounts.
    pub demo_secrets: KeyedHash,
}

impl App {
    /// Returns the settings that operations read from their transaction.
    pub fn settings(&self) -> &ShopSettings {
        self.db.settings()
    }

    /// Returns whether pages of this origin may call the API from a browser. In a demo, all pages on this machine may.
    pub fn allows_origin(&self, origin: &str) -> bool {
        let configured = &self.config.cors_origins;
        configured.iter().any(|allowed| allowed == origin)
            || (self.demo && is_loopback_origin(origin))
    }

    /// Like [`App::allows_origin`], and for the shop's own pages.
    pub fn allows_page(&self, origin: &str) -> bool {
        let origin = origin.to_lowercase();
        let own = origin_of(&self.settings().public_url).unwrap_or_default();
        // On the local machine the shop has several names, and `0.0.0.0` is not one that browsers use.
        let local = ["//127.0.0.1", "//0.0.0.0", "//[::1]", "//[::]"]
            .iter()
            .find(|name| own.contains(**name))
            .map(|name| own.replacen(name, "//localhost", 1));
        let is_local = |origin: &str| {
            let origin = origin.replacen("//127.0.0.1", "//localhost", 1);
            local.as_ref() == Some(&origin)
        };
        own == origin || is_local(&origin) || self.allows_origin(&origin)
    }
}

/// When the certificate of the listener expires: unknown without TLS, and until ACME has the first one.
#[derive(Debug, Clone, Default)]
pub struct CertificateExpiry(Arc<Mutex<Option<Timestamp>>>);

impl CertificateExpiry {
    pub fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

/// The extractor of the shared state.
pub type State = axum::extract::State<Arc<App>>;

/// The routes of a domain with their `OpenAPI` documentation.
pub type Routes = utoipa_axum::router::OpenApiRouter<Arc<App>>;

impl FromRef<Arc<App>> for AccessTokens {
    fn from_ref(app: &Arc<App>) -> AccessTokens {
        app.tokens.clone()
    }
}
