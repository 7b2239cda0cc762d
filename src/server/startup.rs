//! Builds the shared state from the configuration: chooses the drivers, opens the database, loads the secrets.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{
    DataDir, ROUTE_CLASSES, backup, check_owner, data_dir, file_limit, gateway, image_store,
    mailer, metrics::RESPONSE_CACHE_REQUESTS, redirect, reindex, tls,
};
use crate::{
    app::{App, CertificateExpiry},
    core::{
        audit::{Action, Actor, Changes},
        clock::Clock,
        error::{Error, Result},
        money::Currency,
        rng::Rng,
        shop_settings::ShopSettings,
    },
    domain::{accounts, media},
    infra::{
        bus::Bus,
        config::{self, Config, Secret},
        db::{self, Db, Location, Tx, snapshot},
        ports::{Console, Gateway, ImageStore, Mailer, Mock, Sms, StoreLocation},
        web::{
            BlockingPool, ClientTimeouts, DedicatedThread, Permits, body::BodyBudget,
            client_quota::ClientQuota, jwt::AccessTokens, keyed_hash::KeyedHash,
            rate_limits::RateLimits, refused_origins::RefusedOrigins,
            response_cache::ResponseCache, single_flight::SharedCheck,
        },
    },
};

/// How long `/readyz` caches its result.
const READINESS_TTL: Duration = Duration::from_millis(250);

/// How many locks of thumbnails are kept; the least recently used one is dropped first. More than can be created
/// at a time.
const RESIZE_LOCKS: u64 = 4096;

/// The name under which the database records the currency.
const CURRENCY: &str = "currency";

/// The currency of a new shop, unless another one is configured.
const DEFAULT_CURRENCY: Currency = Currency::INR;

/// The configuration and the dependencies of a shop. Tests replace the clock, random numbers and drivers.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub rng: Rng,
    /// The base of links and image URLs, without a slash at the end.
    pub public_url: String,
    pub demo: bool,
    pub storage: db::Options,
    pub timeouts: ClientTimeouts,
    /// `None` uses the configured one, like the next two.
    pub mailer: Option<Arc<dyn Mailer>>,
    pub images: Option<Arc<dyn ImageStore>>,
    pub gateway: Option<Arc<dyn Gateway>>,
    pub sms: Arc<dyn Sms>,
}

impl Parts {
    /// Uses the system's clock and random numbers, and the configured drivers.
    pub fn new(config: Config, public_url: String) -> Parts {
        let sms = Arc::new(Console {
            format: config.log_format,
        });
        Parts {
            config,
            clock: Clock::system(),
            rng: Rng::system(),
            public_url,
            demo: false,
            storage: db::Options::default(),
            timeouts: ClientTimeouts::default(),
            mailer: None,
            images: None,
            gateway: None,
            sms,
        }
    }
}

/// The secrets that the program makes itself: for access tokens and the payment provider's webhooks at the first
/// start unless they are configured, and those of ACME. SQLite shops keep them in files, Postgres shops in the
/// database.
pub const SECRETS: [&str; 4] = [
    "jwt_secret",
    "razorpay_webhook_secret",
    tls::ACME_ACCOUNT,
    tls::ACME_CERTIFICATE,
];

/// Opens the shop of a data directory: migrates the schema, and creates what is missing.
///
/// Errors: `Config` for a wrong setting, `Unavailable` if the database or the directory cannot be used.
pub async fn open(data_dir: &DataDir, parts: Parts) -> Result<Arc<App>> {
    let Parts {
        config,
        clock,
        rng,
        public_url,
        demo,
        storage,
        timeouts,
        mailer,
        images,
        gateway,
        sms,
    } = parts;
    let mailer = match mailer {
        Some(mailer) => mailer,
        None => mailer::from_config(&config, data_dir, demo)?,
    };
    let currency = currency(&config).await?;
    let location = location(&config)?;
    let is_shared = matches!(location, Location::Postgres(_));
    let images = match images {
        Some(images) => images,
        None => image_store::from_config(&config, data_dir)?,
    };
    let gateway = match gateway {
        Some(gateway) => Some(gateway),
        None => gateway::from_config(&config, currency)?,
    };
    let storage = db::Options {
        image_folder: if is_shared {
            image_store_id(&*images, data_dir)?
        } else {
            None
        },
        ..storage
    };
    let base_path = config::path_of(&public_url);
    let is_limited = config.rate_limit && !demo;
    let context = context(&config, public_url, currency, is_limited, &clock, &rng);
    let db = Db::open(location, storage, context).await?;
    db.write("settings.currency", move |tx| record_currency(tx, currency))
        .await?;

    reindex::update_search_keys(&db).await?;

    let secrets = async |name, configured: &[Secret]| match configured {
        [] if is_shared => shared_secret(&db, name).await,
        [] => data_dir.secret(name),
        configured => Ok(configured.to_vec()),
    };
    let [jwt_secret, webhook_secret, ..] = SECRETS;
    let jwt_secrets = secrets(jwt_secret, &config.jwt_secret).await?;
    let webhook_secrets = secrets(webhook_secret, &config.razorpay_webhook_secret).await?;
    check_lengths(jwt_secret, &jwt_secrets, config::MIN_JWT_SECRET)?;
    check_lengths(webhook_secret, &webhook_secrets, config::MIN_WEBHOOK_SECRET)?;
    let stopping = tokio_util::sync::CancellationToken::new();
    let max_connections = config
        .max_connections
        .map_or_else(file_limit::max_connections, NonZeroUsize::get);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(Arc::new(App {
        bus: Bus::start(db.clone(), stopping.clone()).await?,
        networks: KeyedHash::new(&jwt_secrets, "known networks"),
        first_admin: KeyedHash::new(&jwt_secrets, "first admin"),
        demo_secrets: KeyedHash::new(&jwt_secrets, "demo accounts"),
        tokens: AccessTokens::new(&jwt_secrets, config.access_token_ttl, clock.clone())?,
        images,
        gateway: gateway.unwrap_or_else(|| Arc::new(Mock::new(db.clone(), rng.clone()))),
        mailer,
        sms,
        hash_pool: BlockingPool::new(accounts::hashing_slots(cores), 256),
        image_pool: DedicatedThread::start("images", 32)?,
        upload_permits: Permits::new(media::MAX_STORED_SIZE / 1024, 64),
        resize_locks: resize_locks(),
        limits: RateLimits::new(is_limited, ROUTE_CLASSES),
        refused_origins: RefusedOrigins::default(),
        timeouts,
        responses: response_cache(&config),
        sockets: ClientQuota::new(
            is_limited.then_some(config.sockets_per_address),
            max_connections.div_ceil(2),
        ),
        multiplexed_requests: ClientQuota::quarter_per_network(max_connections, is_limited),
        response_bytes: ClientQuota::quarter_per_network(config.body_budget, is_limited),
        bodies: BodyBudget::new(config.body_budget, is_limited),
        max_connections,
        readiness: SharedCheck::new(READINESS_TTL),
        certificate_expiry: CertificateExpiry::default(),
        db,
        clock,
        rng,
        config,
        base_path,
        webhook_secrets,
        background_tasks: tokio_util::task::TaskTracker::new(),
        stopping,
        demo,
    }))
}

/// Checks the lengths of secrets. An operator may have replaced a generated one.
fn check_lengths(name: &str, secrets: &[Secret], min: usize) -> Result<()> {
    for secret in secrets {
        config::check_length(secret.expose_secret(), min)
            .map_err(|error| Error::config(format!("`{name}` {error}")))?;
    }
    Ok(())
}

fn resize_locks() -> Cache<String, Arc<Mutex<()>>> {
    Cache::builder()
        .max_capacity(RESIZE_LOCKS)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

fn response_cache(config: &Config) -> ResponseCache {
    let counter = |result: &'static str| RESPONSE_CACHE_REQUESTS.counter([result.into()]);
    ResponseCache::new(config.cache_memory, counter("hit"), counter("miss"))
}

/// Returns the context of every transaction.
fn context(
    config: &Config,
    public_url: String,
    currency: Currency,
    rate_limit: bool,
    clock: &Clock,
    rng: &Rng,
) -> db::Context {
    let settings = ShopSettings {
        name: config.shop_name(&public_url),
        currency,
        public_url,
        refresh_token_ttl: config.refresh_token_ttl,
        guest_cart_ttl: config.guest_cart_ttl,
        rate_limit,
    };
    db::Context::new(clock.clone(), rng.clone(), settings)
}

/// Checks the settings and the database before anything is created. Returns the version of the shop's schema, or
/// `None` if there is no shop.
///
/// Errors: `Config` for a wrong setting, `Unavailable` if the database or the directory cannot be used.
pub async fn preflight(config: &Config) -> Result<Option<u32>> {
    check_owner(&config.data_dir)?;
    let checked = check_settings(config).into_iter();
    let wrong: Vec<_> = checked.filter_map(|(_, checked)| checked.err()).collect();
    if let Some(first) = wrong.first() {
        let details = wrong.iter().map(|error| error.detail().to_owned());
        let details: Vec<_> = details.collect();
        return Err(Error::new(first.kind(), config::join_errors(&details)));
    }
    location(config)?.check().await
}

/// Checks the settings that belong together, and the files that they name. Each result has the name under which
/// `shop doctor` reports it.
pub fn check_settings(config: &Config) -> [(&'static str, Result<()>); 6] {
    let data_dir = DataDir::at(&config.data_dir);
    [
        (
            "mail",
            mailer::from_config(config, &data_dir, false).map(drop),
        ),
        ("images", image_store::remote(config).map(drop)),
        (
            "payments",
            gateway::from_config(config, config.currency.unwrap_or(DEFAULT_CURRENCY)).map(drop),
        ),
        ("backup", backup::check(config)),
        ("certificate", tls::check(config)),
        ("public-url", redirect::check(config)),
    ]
}

/// Returns the configured database.
pub fn location(config: &Config) -> Result<Location> {
    let Some(url) = &config.database_url else {
        return Ok(Location::Sqlite(DataDir::at(&config.data_dir).database()));
    };
    match Location::parse(url.expose_secret())? {
        Location::Sqlite(_) => Err(Error::config(
            "`database_url` must be the URL of a Postgres server, e.g. `postgres://…`; without it, the \
             database is an SQLite file in `--data-dir`",
        )),
        postgres @ Location::Postgres(_) => Ok(postgres),
    }
}

/// Returns the currency of the configured shop: the configured one, or else the recorded one. A new shop has rupees.
///
/// Errors: `Unavailable` if the database cannot be read.
async fn currency(config: &Config) -> Result<Currency> {
    if let Some(configured) = config.currency {
        return Ok(configured);
    }
    let location = location(config)?;
    if location.check().await?.is_none() {
        return Ok(DEFAULT_CURRENCY);
    }
    let read = move || snapshot::settings(&location, &[CURRENCY]);
    let read = tokio::task::spawn_blocking(read).await;
    match read.map_err(Error::internal)??.pop() {
        None => Ok(DEFAULT_CURRENCY),
        Some((_, code)) => Currency::from_code(&code)
            .ok_or_else(|| Error::internal(format!("`{code}` is not a currency"))),
    }
}

/// Returns an id by which instances check that they use the same image store, or `None` if there is no store.
fn image_store_id(images: &dyn ImageStore, data_dir: &DataDir) -> Result<Option<i32>> {
    match images.location() {
        StoreLocation::NoStore => Ok(None),
        StoreLocation::Directory => data_dir.image_folder_id().map(Some),
        StoreLocation::Remote(name) => {
            let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(name));
            Ok(Some((i32::from_be_bytes([a, b, c, d]) & i32::MAX).max(1)))
        }
    }
}

/// Returns a generated secret that all instances share. The first one to start stores it in the database.
async fn shared_secret(db: &Db, name: &'static str) -> Result<Vec<Secret>> {
    let generated = data_dir::generate_secret();
    let stored = db
        .write("settings.secret", move |tx| {
            db::setting(tx, name, &generated)
        })
        .await?;
    Ok(vec![Secret::from(stored)])
}

/// Records the currency at the first start.
///
/// Errors: `Config` if another currency is recorded, such as by an instance that starts at the same time.
fn record_currency(tx: &mut Tx<'_>, currency: Currency) -> Result<()> {
    let currency = currency.code();
    if db::insert_setting(tx, CURRENCY, currency)? {
        tx.set_actor(Arc::new(Actor::system()));
        return tx.audit(Action::SettingUpdate, Some(&CURRENCY), || {
            Changes::none().with("value", currency)
        });
    }
    let recorded = db::setting(tx, CURRENCY, currency)?;
    if recorded == currency {
        return Ok(());
    }
    Err(Error::config(format!(
        "this shop's currency is {recorded}, not {currency}; set `SHOP_CURRENCY={recorded}`"
    )))
}
