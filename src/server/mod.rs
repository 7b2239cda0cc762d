//! The server: the domains' routes put together, and what stands beside them.

mod accept;
mod bodies;
mod connections;
mod created;
pub mod descriptors;
mod framing;
mod gateway;
mod home;
mod linger;
pub mod middleware;
mod owner;
mod pages;
mod store;
mod transport;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, routing::get};
use http::{HeaderName, HeaderValue, Method, header};
use sha2::{Digest, Sha256};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_axum::router::OpenApiRouter;

pub use self::{
    accept::serve,
    home::{Holder, Home, Running},
    owner::check_owner,
};
use crate::{
    app::{App, Routes},
    core::{
        clock::Clock,
        error::{Error, Result},
        rng::Rng,
    },
    domain::{accounts, cart, catalog, media, orders, payments, realtime, settlement},
    infra::{
        bus::Bus,
        config::{self, Config, Secret},
        db::{self, Db, Location, Tx},
        ports::{Console, Gateway, ImageStore, Mailer, Mock, Place, Sms, mailer},
        web::{
            KeyedLocks, Permits, Worker, Workers, body::BodyBudget, keyed_hash::KeyedHash,
            limits::Limits, openapi, shares::Shares, single_flight::SharedCheck, token::Tokens,
        },
    },
};

/// How long an answer of `/readyz` is valid.
const READINESS_TTL: Duration = Duration::from_millis(250);

/// What a shop is made of beside its configuration.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub rng: Rng,
    /// Links and image URLs begin so; no slash at the end.
    pub public_url: String,
    pub demo: bool,
    pub storage: db::Options,
    /// None: as configured.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// None: as configured.
    pub images: Option<Arc<dyn ImageStore>>,
    /// None: as configured.
    pub gateway: Option<Arc<dyn Gateway>>,
    pub sms: Arc<dyn Sms>,
}

impl Parts {
    /// What a program is made of that runs by the machine's own clock.
    pub fn new(config: Config, public_url: String) -> Parts {
        Parts {
            config,
            clock: Clock::system(),
            rng: Rng::system(),
            public_url,
            demo: false,
            storage: db::Options::default(),
            mailer: None,
            images: None,
            gateway: None,
            sms: Arc::new(Console),
        }
    }
}

/// The secrets that are made at the first start: of access tokens, and of the provider's webhook.
pub const SECRETS: [&str; 2] = ["jwt_secret", "razorpay_webhook_secret"];

/// Opens the shop of a data directory: brings the schema up to date, makes what is missing.
pub async fn open(home: &Home, parts: Parts) -> Result<Arc<App>> {
    let Parts {
        config,
        clock,
        rng,
        public_url,
        demo,
        storage,
        mailer,
        images,
        gateway,
        sms,
    } = parts;
    let mailer = match mailer {
        Some(mailer) => mailer,
        None => mailer_of(&config, home, demo)?,
    };
    let location = location_of(&config)?;
    let is_shared = matches!(location, Location::Postgres(_));
    let images = match images {
        Some(images) => images,
        None => store::of(&config, home, &clock)?,
    };
    let gateway = match gateway {
        Some(gateway) => Some(gateway),
        None => gateway::of(&config)?,
    };
    let storage = db::Options {
        folder: if is_shared {
            mark(&*images, home)?
        } else {
            None
        },
        ..storage
    };
    let db = Db::open(location, storage, clock.clone(), rng.clone()).await?;
    let currency = config.currency.code();
    db.write("settings.currency", move |tx| keep_currency(tx, currency))
        .await?;

    refold(&db).await?;

    let secrets = async |name, configured: &[Secret]| match configured {
        [] if is_shared => shared_secret(&db, name).await,
        [] => home.secret(name),
        configured => Ok(configured.to_vec()),
    };
    let [jwt_secret, webhook_secret] = SECRETS;
    let jwt_secrets = secrets(jwt_secret, &config.jwt_secrets).await?;
    let webhook_secrets = secrets(webhook_secret, &config.webhook_secrets).await?;
    // An operator may have replaced one that the shop made.
    for (name, secrets, min) in [
        (jwt_secret, &jwt_secrets, config::MIN_JWT_SECRET),
        (webhook_secret, &webhook_secrets, config::MIN_WEBHOOK_SECRET),
    ] {
        for secret in secrets {
            config::check_length(name, &secret.0, min).map_err(Error::config)?;
        }
    }
    let stopping = tokio_util::sync::CancellationToken::new();
    let is_limited = config.rate_limit && !demo;
    let max_connections = config
        .max_connections
        .unwrap_or_else(descriptors::max_connections);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(Arc::new(App {
        bus: Bus::start(db.clone(), stopping.clone()).await?,
        networks: KeyedHash::new(&jwt_secrets, "known networks"),
        tokens: Tokens::new(&jwt_secrets, config.access_token_ttl, clock.clone())?,
        images,
        gateway: gateway.unwrap_or_else(|| Arc::new(Mock::new(db.clone(), rng.clone()))),
        mailer,
        sms,
        hash_pool: Workers::new(accounts::hashing_slots(cores), 256),
        image_pool: Worker::start("images", 32)?,
        upload_permits: Permits::new(media::STORED_LIMIT / 1024, 64),
        resize_locks: KeyedLocks::default(),
        limits: Limits::new(is_limited),
        sockets: Shares::new(
            is_limited.then_some(config.sockets_per_address),
            max_connections.div_ceil(2),
        ),
        proxied_requests: Shares::quarters(max_connections, is_limited),
        response_bytes: Shares::quarters(config.body_budget, is_limited),
        bodies: BodyBudget::new(config.body_budget, is_limited),
        max_connections,
        readiness: SharedCheck::new(READINESS_TTL),
        db,
        clock,
        rng,
        config,
        base_path: config::path_of(&public_url),
        public_url,
        webhook_secrets,
        background_tasks: tokio_util::task::TaskTracker::new(),
        stopping,
        demo,
    }))
}

/// Refuses settings and a database that the shop cannot live on, before anything is created anywhere.
/// Returns whether there is a shop.
pub async fn look(config: &Config) -> Result<bool> {
    check_owner(&config.data_dir)?;
    mailer_of(config, &Home::at(&config.data_dir), false)?;
    store::remote(config, &Clock::system())?;
    gateway::of(config)?;
    location_of(config)?.look().await
}

/// Where the configured shop keeps its data.
fn location_of(config: &Config) -> Result<Location> {
    let Some(url) = &config.database_url else {
        return Ok(Location::Sqlite(Home::at(&config.data_dir).database()));
    };
    match Location::parse(&url.0)? {
        Location::Sqlite(_) => Err(Error::config(
            "`database_url` names a server, as `postgres://…`; without it the shop is a file in its \
             `--data-dir`",
        )),
        server @ Location::Postgres(_) => Ok(server),
    }
}

/// Who takes mails out of the shop.
fn mailer_of(config: &Config, home: &Home, demo: bool) -> Result<Arc<dyn Mailer>> {
    let from = config.mail_from.as_deref();
    match (&config.smtp_url, from) {
        (Some(url), Some(from)) => {
            let smtp = mailer::Smtp::open(url, mailer::sender(from)?)?;
            Ok(Arc::new(smtp))
        }
        (Some(_), None) => Err(Error::config(
            "`smtp_url` is set and `mail_from` is not; set it to who sends the mails, as \
             `Shop <shop@example.com>`",
        )),
        (None, from) => {
            let from = mailer::sender(from.unwrap_or("Shop <shop@localhost>"))?;
            Ok(Arc::new(mailer::Files::new(home.mail(), from, demo)))
        }
    }
}

/// How many products are written between two lines of the log.
const LOGGED_EACH: i64 = 20_000;

/// Brings the stored keys and words of names to this program's folding, and writes those that are missing.
async fn refold(db: &Db) -> Result<()> {
    let begin = db
        .write("catalog.begin_refolding", catalog::begin_refolding)
        .await?;
    let (mut after, mut done, total) = (begin.after, begin.done, begin.total);
    let mut logged = done;
    let from = |after| move |tx: &mut Tx<'_>| catalog::refold_from(tx, after);
    while let Some((last, count)) = db.write("catalog.refold_from", from(after)).await? {
        if after == begin.after {
            tracing::info!(
                done,
                total,
                "writing keys and words of products; if interrupted, the next start continues"
            );
        }
        (after, done) = (last, done + count);
        if done - logged >= LOGGED_EACH {
            tracing::info!(done, total, "writing keys and words of products");
            logged = done;
        }
    }
    if begin.is_outdated {
        db.write("catalog.finish_refolding", catalog::finish_refolding)
            .await?;
    }
    if after != begin.after {
        db.write("catalog.merge_words", catalog::merge_words)
            .await?;
        tracing::info!(done, total, "wrote keys and words of products");
    }
    Ok(())
}

/// By what instances know whether they keep their pictures in the same place. `None`: keeps no pictures.
fn mark(images: &dyn ImageStore, home: &Home) -> Result<Option<i32>> {
    match images.place() {
        Place::Nowhere => Ok(None),
        Place::Folder => home.images_mark().map(Some),
        Place::Everywhere(name) => {
            let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(name));
            Ok(Some((i32::from_be_bytes([a, b, c, d]) & i32::MAX).max(1)))
        }
    }
}

/// The secret that was made at the first start, kept where every instance reads it.
async fn shared_secret(db: &Db, name: &'static str) -> Result<Vec<Secret>> {
    let fresh = home::new_secret();
    let kept = db
        .write("settings.secret", move |tx| db::setting(tx, name, &fresh))
        .await?;
    Ok(vec![Secret(kept)])
}

/// Records the currency at the first start and refuses another one later.
fn keep_currency(tx: &mut Tx<'_>, currency: &str) -> Result<()> {
    let kept = db::setting(tx, "currency", currency)?;
    if kept == currency {
        return Ok(());
    }
    Err(Error::config(format!(
        "this shop's currency is {kept}, not {currency}; set `SHOP_CURRENCY={kept}`"
    )))
}

/// The routes under `/api/v1`, with their documentation.
fn api() -> Routes {
    OpenApiRouter::with_openapi(openapi::base()).nest(
        "/api/v1",
        accounts::http::routes()
            .merge(catalog::http::routes())
            .merge(cart::http::routes())
            .merge(orders::http::routes())
            .merge(payments::http::routes())
            .merge(settlement::http::routes())
            .merge(realtime::http::routes()),
    )
}

/// The OpenAPI 3.1 document of all that the server answers under `/api/v1`.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = openapi::complete(api().into_openapi());
    let way = format!(
        "The way of an order:\n\n```mermaid\n{}```",
        orders::diagram()
    );
    let mut tag = utoipa::openapi::Tag::new("orders");
    tag.description = Some(way);
    document.tags = Some(vec![tag]);
    document
}

/// All routes.
pub fn router(app: &Arc<App>) -> Router {
    let (api, _) = api().split_for_parts();
    let router = api
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .route("/openapi.json", get(pages::openapi))
        .merge(pages::links())
        .route("/problems/page.css", get(pages::problem_style))
        .route("/problems/{code}", get(pages::problem))
        .route("/images/{key}", get(media::http::get_image));
    let router = if app.demo {
        router.merge(pages::console())
    } else {
        router
    };
    let mut router = router
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(app));
    if app.limits.are_on() {
        router = router.layer(axum::middleware::from_fn_with_state(
            Arc::clone(app),
            middleware::limit,
        ));
    }
    if !app.config.cors_origins.is_empty() {
        router = router.layer(cors(app));
    }
    router
}

/// What browsers of other origins may do, once the operator has named those.
fn cors(app: &App) -> CorsLayer {
    let origins = app
        .config
        .cors_origins
        .iter()
        .filter_map(|o| HeaderValue::from_str(o).ok());
    let named = |names: &[&'static str]| -> Vec<HeaderName> {
        names
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect()
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(named(&[
            "authorization",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "x-request-id",
        ]))
        .expose_headers(
            [
                header::ETAG,
                header::LOCATION,
                header::LINK,
                header::RETRY_AFTER,
            ]
            .into_iter()
            .chain(named(&[
                "ratelimit",
                "ratelimit-policy",
                "x-request-id",
                "idempotent-replayed",
                "x-inventory-seq",
            ]))
            .collect::<Vec<_>>(),
        )
        .max_age(Duration::from_hours(1))
}
