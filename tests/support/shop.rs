//! A shop in process.

use std::{
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
    domain::{
        accounts::{self, Email, NewUser, PasswordHash, PersonName, Role},
        media, notifications,
    },
    infra::{
        config::{Config, Layer},
        db,
        ports::{FakeSms, ImageStore, MailMessage, mailer::FakeMailer},
    },
    server::{self, Home, Parts, middleware},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Answer, Client, Database,
    front::{self, Front},
    run_on,
};

/// Which database a story runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// A database of its own with the shop's schema, where a server has to make one.
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

/// There is no server that could make a database.
pub(crate) struct NoServer;

/// 2026-01-31T12:00:00Z, when every story begins.
pub(crate) const BEGINNING: Timestamp = Timestamp(1_769_860_800_000);

/// A hash of `correct horse battery`, so that not every story has to hash.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$iPOQ5f2O21FsjnBvo1AiFcDuSXciCnKUrXFO+yfgNoM";

/// Fewer connections than a server would have: many shops share one database server.
pub(crate) fn options() -> db::Options {
    db::Options {
        readers: 6,
        scanners: 2,
        ..db::Options::default()
    }
}

/// A fresh shop with a clock that stands still, seeded chance and no rate limits.
pub(crate) struct TestShop {
    pub(crate) app: Arc<App>,
    pub(crate) directory: Arc<tempfile::TempDir>,
    pub(crate) database: Option<Arc<Database>>,
    router: axum::Router,
    /// The proxy that its requests pass, if the tests run behind one.
    front: Option<Front>,
    /// Where its mails go.
    pub(crate) mailer: Arc<FakeMailer>,
    /// Where its messages to phones go.
    pub(crate) pocket: Arc<FakeSms>,
    pub(crate) engine: Engine,
    /// How many were opened on this database: no two draw the same ids.
    opened: Arc<AtomicU64>,
}

/// What the first shop on a database is seeded with.
const SEED: u64 = 7;

impl TestShop {
    /// None where the engine is not to be had.
    pub(crate) async fn on(engine: Engine) -> Option<TestShop> {
        Self::with(engine, &[("rate_limit", "off")], options()).await
    }

    /// With settings of its own, as `shop.toml` would have them.
    pub(crate) async fn with(
        engine: Engine,
        settings: &[(&str, &str)],
        storage: db::Options,
    ) -> Option<TestShop> {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let database = engine.database().ok()?;
        let opened = Arc::default();
        Some(Self::open(engine, directory, database, opened, settings, storage, None).await)
    }

    /// Another instance on the same database: a data directory, a clock and chance of its own, the
    /// same pictures.
    pub(crate) async fn another(&self) -> TestShop {
        self.another_with(&[("rate_limit", "off")]).await
    }

    /// As [`TestShop::another`], with settings of its own.
    pub(crate) async fn another_with(&self, settings: &[(&str, &str)]) -> TestShop {
        assert_eq!(self.engine, Engine::Postgres, "a file has one server");
        let directory = Arc::new(tempfile::tempdir().unwrap());
        share_images(self.directory.path(), directory.path());
        Self::open(
            self.engine,
            directory,
            self.database.clone(),
            Arc::clone(&self.opened),
            settings,
            options(),
            None,
        )
        .await
    }

    /// What `before` was moved to.
    pub(crate) async fn at(
        before: &TestShop,
        directory: Arc<tempfile::TempDir>,
        database: Option<Arc<Database>>,
    ) -> TestShop {
        let engine = match database {
            None => Engine::Sqlite,
            Some(_) => Engine::Postgres,
        };
        let settings = [("rate_limit", "off")];
        let opened = Arc::clone(&before.opened);
        Self::open(
            engine,
            directory,
            database,
            opened,
            &settings,
            options(),
            None,
        )
        .await
    }

    /// A fresh shop that keeps its pictures there.
    pub(crate) async fn keeping(engine: Engine, images: Arc<dyn ImageStore>) -> TestShop {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let database = engine.database().ok().unwrap();
        let (opened, settings) = (Arc::default(), [("rate_limit", "off")]);
        let storage = options();
        Self::open(
            engine,
            directory,
            database,
            opened,
            &settings,
            storage,
            Some(images),
        )
        .await
    }

    /// Another shop like this one, with these settings on top.
    pub(crate) async fn with_settings(&self, settings: &[(&str, &str)]) -> TestShop {
        let other = Self::with(self.engine, settings, options()).await;
        other.unwrap()
    }

    async fn open(
        engine: Engine,
        directory: Arc<tempfile::TempDir>,
        database: Option<Arc<Database>>,
        opened: Arc<AtomicU64>,
        settings: &[(&str, &str)],
        storage: db::Options,
        images: Option<Arc<dyn ImageStore>>,
    ) -> TestShop {
        let mut layer: Layer = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let data_dir = directory.path().to_str().unwrap();
        layer.insert("data_dir".to_owned(), data_dir.to_owned());
        if let Some(database) = &database {
            layer.insert("database_url".to_owned(), database.url().to_owned());
        }
        // A test with proxies of its own sends what they would.
        let proxy = front::kind().filter(|_| !layer.contains_key("trusted_proxies"));
        if proxy.is_some() {
            layer.insert("trusted_proxies".to_owned(), "127.0.0.1".to_owned());
        }
        let (mailer, pocket) = (Arc::<FakeMailer>::default(), Arc::<FakeSms>::default());
        let config = Config::from_layers(&[layer]).unwrap();
        let parts = Parts {
            clock: Clock::fixed(BEGINNING),
            rng: Rng::seeded(SEED + opened.fetch_add(1, Ordering::SeqCst)),
            storage,
            mailer: Some(Arc::clone(&mailer) as _),
            sms: Arc::clone(&pocket) as _,
            images,
            ..Parts::new(config, "http://shop.test".to_owned())
        };
        let home = Home::open(directory.path()).unwrap();
        let app = server::open(&home, parts).await.unwrap();
        let router = server::router(&app);
        let front = match proxy {
            Some(kind) => Front::of(kind, &app).await,
            None => None,
        };
        TestShop {
            app,
            directory,
            database,
            router,
            front,
            mailer,
            pocket,
            engine,
            opened,
        }
    }

    /// The same data under a new process, as after a restart.
    pub(crate) async fn restarted(self) -> TestShop {
        self.restarted_with(&[("rate_limit", "off")]).await
    }

    /// As [`TestShop::restarted`], with settings of its own.
    pub(crate) async fn restarted_with(self, settings: &[(&str, &str)]) -> TestShop {
        self.app.stopping.cancel();
        self.app.db.close().await;
        let images = Arc::clone(&self.app.images);
        Self::open(
            self.engine,
            self.directory,
            self.database,
            self.opened,
            settings,
            options(),
            Some(images),
        )
        .await
    }

    pub(crate) fn advance_clock(&self, span: Duration) {
        self.app.clock.advance(span);
    }

    /// Keeps all threads that hash busy, until what it gives is dropped.
    pub(crate) async fn hold_hashing(&self) -> Vec<oneshot::Sender<()>> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = accounts::hashing_slots(cores);
        let (started, mut starts) = mpsc::unbounded_channel();
        let mut held = Vec::new();
        for _ in 0..threads {
            let (release, gate) = oneshot::channel::<()>();
            let (app, started) = (Arc::clone(&self.app), started.clone());
            held.push(release);
            tokio::spawn(async move {
                let work = move |_: &mut _| {
                    started.send(()).unwrap();
                    drop(gate.blocking_recv());
                    Ok(())
                };
                app.hash_pool.run_with(work).await
            });
        }
        for _ in 0..threads {
            starts.recv().await.unwrap();
        }
        held
    }

    /// Tries to send what is due by now; tells how many tries that took.
    pub(crate) async fn send_mails(&self) -> usize {
        let mut tries = 0;
        loop {
            match notifications::worker::send_due(&self.app).await.unwrap() {
                0 => return tries,
                more => tries += more,
            }
        }
    }

    /// Sends what is due by now; tells all that was sent so far.
    pub(crate) async fn mails(&self) -> Vec<MailMessage> {
        self.send_mails().await;
        self.mailer.letters()
    }

    /// Removes from the store of pictures what is due by now; tells how many tries that took.
    pub(crate) async fn removals(&self) -> usize {
        media::worker::remove_due(&self.app).await.unwrap()
    }

    /// Looks through the store of pictures; tells how many there had no row.
    pub(crate) async fn swept(&self) -> usize {
        media::worker::sweep(&self.app, Duration::ZERO)
            .await
            .unwrap()
    }

    /// The token in the newest mail to that address which has one.
    pub(crate) async fn token_mailed(&self, to: &str) -> String {
        let letters = self.mails().await;
        let letter = letters
            .iter()
            .rfind(|letter| letter.to == to && letter.link.is_some());
        let link = letter.and_then(|letter| letter.link.clone()).unwrap();
        link.split_once("#token=").unwrap().1.to_owned()
    }

    /// Sends a request as it would come from the socket of `peer`, and reads the response.
    pub(crate) async fn send(
        &self,
        request: http::Request<axum::body::Body>,
        peer: IpAddr,
    ) -> Answer {
        Answer::read(self.begin(request, peer).await).await
    }

    /// As [`TestShop::send`], for a client that has not read the response's body yet.
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
        middleware::handle(&self.app, self.router.clone(), request, peer).await
    }

    pub(crate) fn anonymous(&self) -> Client<'_> {
        Client::new(self, None)
    }

    /// A client with any token, be it right or wrong.
    pub(crate) fn bearer(&self, token: &str) -> Client<'_> {
        Client::new(self, Some(token.to_owned()))
    }

    /// Runs a command of the program on this shop, in a process of its own.
    pub(crate) fn run(&self, arguments: &[&str]) -> std::process::Output {
        run_on(self.directory.path(), self.database.as_deref(), arguments)
    }

    /// Somebody with a fresh account, signed in. `name` makes `name@example.com`.
    pub(crate) async fn customer(&self, name: &str) -> Client<'_> {
        self.sign_in(name, Role::Customer).await
    }

    pub(crate) async fn admin(&self) -> Client<'_> {
        self.sign_in("admin", Role::Admin).await
    }

    /// As [`TestShop::customer`], in any role.
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
                accounts::sign_in(tx, &app, user.id)
            })
            .await
            .unwrap();
        Client::new(self, Some(signed_in.access_token))
    }

    /// A product of the catalog, made by the admin; tells its id.
    pub(crate) async fn product(&self, name: &str, price: i64, stock: i64) -> String {
        let admin = self.admin().await;
        let body = serde_json::json!({ "name": name, "price": price, "stockQuantity": stock });
        let made = admin.post("/products", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.text("/id")
    }

    /// What the shop says is in stock.
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

/// Gives a data directory the pictures of another, as a shared volume does.
pub(crate) fn share_images(of: &Path, with: &Path) {
    let images = of.join("images");
    std::fs::create_dir_all(&images).unwrap();
    std::os::unix::fs::symlink(images, with.join("images")).unwrap();
}
