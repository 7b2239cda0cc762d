//! A shop in process.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use shop::{
    app::App,
    core::{
        clock::{Clock, Timestamp},
        rng::Rng,
    },
    domain::accounts::{self, Email, NewUser, PasswordHash, PersonName, Role},
    infra::{
        config::{Config, Layer},
        db,
        ports::{FakeSms, ImageStore, mailer::FakeMailer},
        web::ClientTimeouts,
    },
    server::{self, DataDir, Parts, middleware},
};
use tower::ServiceExt;

use super::{
    Client, Database, TestResponse,
    front::{self, Front},
    run_on,
};

/// The storage engine of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Creates a database with the shop's schema on the Postgres server. Returns `None` for SQLite.
    pub(crate) fn database(self) -> Result<Option<Arc<Database>>, NoServer> {
        match self {
            Engine::Sqlite => Ok(None),
            Engine::Postgres => match Database::migrated() {
                Some(new) => Ok(Some(Arc::new(new))),
                None => Err(NoServer),
            },
        }
    }
}

/// No Postgres server is configured.
pub(crate) struct NoServer;

/// The initial time of every test: 2026-01-31T12:00:00Z.
pub(crate) const BEGINNING: Timestamp = Timestamp(1_769_860_800_000);

/// The hash of `correct horse battery`, which saves the time for hashing.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$iPOQ5f2O21FsjnBvo1AiFcDuSXciCnKUrXFO+yfgNoM";

/// Storage options with few connections, because many test shops share one database server.
pub(crate) fn options() -> db::Options {
    db::Options {
        readers: 6,
        long_readers: 2,
        is_server: true,
        ..db::Options::default()
    }
}

/// A new shop with a fixed clock, a seeded random number generator and no rate limits.
pub(crate) struct TestShop {
    pub(crate) app: Arc<App>,
    pub(crate) directory: Arc<tempfile::TempDir>,
    pub(crate) database: Option<Arc<Database>>,
    router: axum::Router,
    /// The proxy in front of the shop, if the tests run with one.
    front: Option<Front>,
    /// Records the shop's emails.
    pub(crate) mailer: Arc<FakeMailer>,
    /// Records the shop's text messages.
    pub(crate) sms: Arc<FakeSms>,
    pub(crate) engine: Engine,
    /// The number of shops opened on this database. It is part of the seed, so that their ids differ.
    opened: Arc<AtomicU64>,
}

/// The seed of the first shop on a database.
const SEED: u64 = 7;

const NO_RATE_LIMIT: &[(&str, &str)] = &[("rate_limit", "off")];

/// How to open a shop.
struct Setup<'a> {
    directory: Arc<tempfile::TempDir>,
    /// `None` for SQLite.
    database: Option<Arc<Database>>,
    opened: Arc<AtomicU64>,
    /// Settings like those in `shop.toml`.
    settings: &'a [(&'a str, &'a str)],
    storage: db::Options,
    timeouts: ClientTimeouts,
    /// `None` for a folder in the data directory.
    images: Option<Arc<dyn ImageStore>>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Setup {
            directory: Arc::new(tempfile::tempdir().unwrap()),
            database: None,
            opened: Arc::default(),
            settings: NO_RATE_LIMIT,
            storage: options(),
            timeouts: ClientTimeouts::default(),
            images: None,
        }
    }
}

impl TestShop {
    /// Creates a shop. Returns `None` if the engine is unavailable.
    pub(crate) async fn on(engine: Engine) -> Option<TestShop> {
        Self::with(engine, NO_RATE_LIMIT, options()).await
    }

    /// Creates a shop with settings like those in `shop.toml`.
    pub(crate) async fn with(
        engine: Engine,
        settings: &[(&str, &str)],
        storage: db::Options,
    ) -> Option<TestShop> {
        let setup = Setup {
            database: engine.database().ok()?,
            settings,
            storage,
            ..Setup::default()
        };
        Some(Self::open(setup).await)
    }

    /// Opens another instance on the same database. It shares the images, but has its own data directory, clock and
    /// random number generator.
    pub(crate) async fn another_instance(&self) -> TestShop {
        self.another_with(NO_RATE_LIMIT).await
    }

    /// Like [`TestShop::another_instance`], with these settings.
    pub(crate) async fn another_with(&self, settings: &[(&str, &str)]) -> TestShop {
        assert_eq!(self.engine, Engine::Postgres, "SQLite allows one instance");
        let setup = Setup {
            database: self.database.clone(),
            opened: Arc::clone(&self.opened),
            settings,
            ..Setup::default()
        };
        share_images(self.directory.path(), setup.directory.path());
        Self::open(setup).await
    }

    /// Opens the shop that `before` was transferred to.
    pub(crate) async fn transferred(
        before: &TestShop,
        directory: Arc<tempfile::TempDir>,
        database: Option<Arc<Database>>,
    ) -> TestShop {
        Self::open(Setup {
            directory,
            database,
            opened: Arc::clone(&before.opened),
            ..Setup::default()
        })
        .await
    }

    /// Opens the shop in this data directory, or on this Postgres database.
    pub(crate) async fn on_data(
        directory: Arc<tempfile::TempDir>,
        database: Option<Arc<Database>>,
    ) -> TestShop {
        Self::open(Setup {
            directory,
            database,
            ..Setup::default()
        })
        .await
    }

    /// Creates a shop with this image store.
    pub(crate) async fn with_image_store(engine: Engine, images: Arc<dyn ImageStore>) -> TestShop {
        Self::open(Setup {
            database: engine.database().ok().unwrap(),
            images: Some(images),
            ..Setup::default()
        })
        .await
    }

    /// Creates an SQLite shop that waits for its clients no longer than this.
    pub(crate) async fn with_timeouts(timeouts: ClientTimeouts) -> TestShop {
        Self::open(Setup {
            timeouts,
            ..Setup::default()
        })
        .await
    }

    /// Creates another shop on the same engine, with these settings.
    pub(crate) async fn with_settings(&self, settings: &[(&str, &str)]) -> TestShop {
        let other = Self::with(self.engine, settings, options()).await;
        other.unwrap()
    }

    async fn open(setup: Setup<'_>) -> TestShop {
        let Setup {
            directory,
            database,
            opened,
            settings,
            storage,
            timeouts,
            images,
        } = setup;
        let mut settings: BTreeMap<&str, &str> = settings.iter().copied().collect();
        settings.insert("data_dir", directory.path().to_str().unwrap());
        if let Some(database) = &database {
            settings.insert("database_url", database.url());
        }
        // A test that configures proxies itself sends their headers, too.
        let proxy = front::kind().filter(|_| !settings.contains_key("trusted_proxies"));
        if proxy.is_some() {
            settings.insert("trusted_proxies", "127.0.0.1");
        }
        let (mailer, sms) = (Arc::<FakeMailer>::default(), Arc::<FakeSms>::default());
        let config = Config::from_layers(&[Layer::from_flags(settings)]).unwrap();
        let parts = Parts {
            clock: Clock::fixed(BEGINNING),
            rng: Rng::seeded(SEED + opened.fetch_add(1, Ordering::SeqCst)),
            storage,
            timeouts,
            mailer: Some(Arc::clone(&mailer) as _),
            sms: Arc::clone(&sms) as _,
            images,
            ..Parts::new(config, "http://shop.test".to_owned())
        };
        let data_dir = DataDir::open(directory.path()).unwrap();
        let app = server::open(&data_dir, parts).await.unwrap();
        let router = server::router(&app);
        let front = match proxy {
            Some(kind) => Front::of(kind, &app).await,
            None => None,
        };
        let engine = match database {
            None => Engine::Sqlite,
            Some(_) => Engine::Postgres,
        };
        TestShop {
            app,
            directory,
            database,
            router,
            front,
            mailer,
            sms,
            engine,
            opened,
        }
    }

    /// Restarts the shop on the same data.
    pub(crate) async fn restarted(self) -> TestShop {
        self.restarted_with(NO_RATE_LIMIT).await
    }

    /// Like [`TestShop::restarted`], with these settings.
    pub(crate) async fn restarted_with(self, settings: &[(&str, &str)]) -> TestShop {
        self.app.stopping.cancel();
        self.app.db.close().await;
        Self::open(Setup {
            images: Some(Arc::clone(&self.app.images)),
            directory: self.directory,
            database: self.database,
            opened: self.opened,
            settings,
            storage: options(),
            timeouts: self.app.timeouts,
        })
        .await
    }

    pub(crate) fn advance_clock(&self, span: Duration) {
        self.app.clock.advance(span);
    }

    /// Sends a request from the address `peer`, and reads the response.
    pub(crate) async fn send(
        &self,
        request: http::Request<axum::body::Body>,
        peer: IpAddr,
    ) -> TestResponse {
        TestResponse::read(self.begin(request, peer).await).await
    }

    /// Like [`TestShop::send`], without reading the response's body.
    pub(crate) async fn begin(
        &self,
        mut request: http::Request<axum::body::Body>,
        peer: IpAddr,
    ) -> axum::response::Response {
        let host = http::HeaderValue::from_static("shop.test");
        request.headers_mut().entry("host").or_insert(host);
        if let Some(front) = self.front.as_ref().filter(|_| peer.is_loopback()) {
            return front.send(request).await;
        }
        let service = middleware::service(Arc::clone(&self.app), self.router.clone(), peer);
        let Ok(response) = service.oneshot(request).await;
        response
    }

    pub(crate) fn anonymous(&self) -> Client<'_> {
        Client::new(self, None)
    }

    /// Returns a client with this access token, valid or not.
    pub(crate) fn bearer(&self, token: &str) -> Client<'_> {
        Client::new(self, Some(token.to_owned()))
    }

    /// Runs a command of the program on this shop's data.
    pub(crate) fn run(&self, arguments: &[&str]) -> std::process::Output {
        run_on(self.directory.path(), self.database.as_deref(), arguments)
    }

    /// Signs in the customer `name@example.com`, and creates the account if necessary.
    pub(crate) async fn customer(&self, name: &str) -> Client<'_> {
        self.sign_in(name, Role::Customer).await
    }

    pub(crate) async fn admin(&self) -> Client<'_> {
        self.sign_in("admin", Role::Admin).await
    }

    /// Like [`TestShop::customer`], with any role.
    pub(crate) async fn sign_in(&self, name: &str, role: Role) -> Client<'_> {
        let new = NewUser {
            email: Email::parse(&format!("{name}@example.com")).unwrap(),
            name: PersonName::try_from(name.to_owned()).unwrap(),
            password: PasswordHash::stored(HASH.to_owned()),
            role,
            verified: true,
        };
        let app = Arc::clone(&self.app);
        let signed_in = self
            .app
            .db
            .write("test.sign_in", move |tx| {
                let user = match accounts::user_by_email(tx, &new.email) {
                    Ok(user) => user,
                    Err(_) => accounts::register(tx, &new)?,
                };
                accounts::sign_in(tx, &app.tokens, user.id)
            })
            .await
            .unwrap();
        Client::new(self, Some(signed_in.access_token))
    }

    /// Creates a product as the admin. Returns its id.
    pub(crate) async fn product(&self, name: &str, price: i64, stock: i64) -> String {
        let admin = self.admin().await;
        let body = serde_json::json!({ "name": name, "price": price, "stockQuantity": stock });
        let created = admin.post("/products", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.text("/id")
    }

    /// Returns the stock quantity of a product from the API.
    pub(crate) async fn stock(&self, product: &str) -> i64 {
        let answer = self.anonymous().get(&format!("/products/{product}")).await;
        answer
            .json()
            .pointer("/stockQuantity")
            .unwrap()
            .as_i64()
            .unwrap()
    }
}

/// Shares the images of one data directory with another, like a common volume.
pub(crate) fn share_images(of: &Path, with: &Path) {
    let images = of.join("images");
    std::fs::create_dir_all(&images).unwrap();
    std::os::unix::fs::symlink(images, with.join("images")).unwrap();
}
