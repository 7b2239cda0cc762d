//! A shop in process.

use std::{net::IpAddr, sync::Arc, time::Duration};

use shop::{
    accounts::{self, Email, NewUser, PasswordHash, PersonName, Role},
    clock::{Chance, Clock, Timestamp},
    config::{Config, Layer},
    db::sqlite,
    server::{self, Home, Parts},
    web::{App, edge},
};

use super::{Answer, Client};

/// Which database a story runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
}

/// 2026-01-31T12:00:00Z, when every story begins.
pub(crate) const BEGINNING: Timestamp = Timestamp(1_769_860_800_000);

/// A hash of `correct horse battery`, so that not every story has to hash.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$iPOQ5f2O21FsjnBvo1AiFcDuSXciCnKUrXFO+yfgNoM";

/// A fresh shop with a clock that stands still, seeded chance and no rate limits.
pub(crate) struct TestShop {
    pub(crate) app: Arc<App>,
    pub(crate) directory: Arc<tempfile::TempDir>,
    router: axum::Router,
    engine: Engine,
}

impl TestShop {
    pub(crate) async fn on(engine: Engine) -> TestShop {
        Self::with(engine, &[("rate_limit", "off")], sqlite::Options::default()).await
    }

    /// With settings of its own, as `shop.toml` would have them.
    pub(crate) async fn with(
        engine: Engine,
        settings: &[(&str, &str)],
        storage: sqlite::Options,
    ) -> TestShop {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        Self::open(engine, directory, settings, storage).await
    }

    /// Another shop like this one, with these settings on top.
    pub(crate) async fn but(&self, settings: &[(&str, &str)]) -> TestShop {
        Self::with(self.engine, settings, sqlite::Options::default()).await
    }

    async fn open(
        engine: Engine,
        directory: Arc<tempfile::TempDir>,
        settings: &[(&str, &str)],
        storage: sqlite::Options,
    ) -> TestShop {
        let layer: Layer = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let parts = Parts {
            config: Config::from_layers(&[layer]).unwrap(),
            clock: Clock::fixed(BEGINNING),
            chance: Chance::seeded(7),
            public_url: "http://shop.test".to_owned(),
            demo: false,
            storage,
        };
        let home = Home::open(directory.path()).unwrap();
        let app = server::open(&home, parts).await.unwrap();
        let router = server::router(&app);
        TestShop {
            app,
            directory,
            router,
            engine,
        }
    }

    /// The same data under a new process, as after a restart.
    pub(crate) async fn restarted(self) -> TestShop {
        self.app.stopping.cancel();
        self.app.db.close().await;
        let settings = [("rate_limit", "off")];
        Self::open(
            self.engine,
            self.directory,
            &settings,
            sqlite::Options::default(),
        )
        .await
    }

    pub(crate) fn passes(&self, span: Duration) {
        self.app.clock.advance(span);
    }

    /// Sends a request as it would come from the socket of `peer`.
    pub(crate) async fn send(
        &self,
        request: http::Request<axum::body::Body>,
        peer: IpAddr,
    ) -> Answer {
        let response = edge::handle(&self.app, self.router.clone(), request, peer).await;
        Answer::read(response).await
    }

    pub(crate) fn anonymous(&self) -> Client<'_> {
        Client::new(self, None)
    }

    /// A client with any token, be it right or wrong.
    pub(crate) fn bearer(&self, token: &str) -> Client<'_> {
        Client::new(self, Some(token.to_owned()))
    }

    /// Somebody with a fresh account, signed in. `name` makes `name@example.com`.
    pub(crate) async fn customer(&self, name: &str) -> Client<'_> {
        self.sign_in(name, Role::Customer).await
    }

    pub(crate) async fn admin(&self) -> Client<'_> {
        self.sign_in("admin", Role::Admin).await
    }

    async fn sign_in(&self, name: &str, role: Role) -> Client<'_> {
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
