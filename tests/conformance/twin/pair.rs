//! The two shops, and how they are compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use axum::body::Body;
use http::HeaderValue;
use shop::{
    core::id::UserId,
    domain::{
        accounts::{self as shop_accounts, Role},
        settlement::expire_due,
    },
    infra::bus,
};

use super::{
    accounts::OPERATIONS,
    state::{Request, World},
};
use crate::support::{Answer, Engine, Operation, TestShop, options};

/// How long one shop may take to tell its listeners what the other has told; past it the test has
/// failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Secrets that would be made by the system's chance otherwise.
const SETTINGS: [(&str, &str); 3] = [
    ("rate_limit", "off"),
    (
        "jwt_secret",
        "a key that only the twins and their test know",
    ),
    ("razorpay_webhook_secret", "whsec_of_the_twins"),
];

/// Operations that nobody can be answered well by requests alone.
const NEVER_WELL: &[&str] = &["GET /api/v1/ws"];

/// Two shops, told the same at the same moments.
pub(super) struct Twins {
    sqlite: TestShop,
    postgres: TestShop,
    /// The newest event that both have told of.
    head: i64,
    seed: u64,
    step: usize,
    /// How often each operation of the document was answered with each status.
    answered: BTreeMap<String, BTreeMap<u16, usize>>,
}

impl Twins {
    /// None where an engine is not to be had.
    pub(super) async fn open(seed: u64) -> Option<Twins> {
        let sqlite = TestShop::with(Engine::Sqlite, &SETTINGS, options()).await?;
        let postgres = TestShop::with(Engine::Postgres, &SETTINGS, options()).await?;
        Some(Twins {
            sqlite,
            postgres,
            head: 0,
            seed,
            step: 0,
            answered: BTreeMap::new(),
        })
    }

    /// Asks both, and fails the test unless they say the same.
    pub(super) async fn ask(&mut self, request: &Request) -> Answer {
        self.step += 1;
        let (one, other) =
            futures_util::future::join(send(&self.sqlite, request), send(&self.postgres, request))
                .await;
        let same = one.status == other.status
            && one.headers == other.headers
            && one.body == other.body
            && one.status < 500;
        assert!(
            same,
            "SHOP_TEST_SEED={}, request {}:\n{request}\n\nSQLite: {}\n\nPostgres: {}\n",
            self.seed,
            self.step,
            shown(&one),
            shown(&other)
        );
        self.count(request, one.status);
        self.settle().await;
        one
    }

    /// Has both send what waits, and fails the test unless it is the same: mails and messages to phones.
    pub(super) async fn read_post(&self, world: &mut World) {
        let [one, other] = [self.sqlite.mails().await, self.postgres.mails().await];
        assert_eq!(
            one, other,
            "SHOP_TEST_SEED={}, request {}",
            self.seed, self.step
        );
        let links = one.iter().filter_map(|letter| letter.link.as_deref());
        let tokens = |page: &str| {
            let found = links.clone().filter_map(|link| link.split_once(page));
            found.map(|(_, token)| token.to_owned()).collect()
        };
        world.proofs = tokens("/verify-email#token=");
        world.resets = tokens("/reset-password#token=");
        loop {
            let [one, other] = [&self.sqlite, &self.postgres].map(|shop| shop.pocket.read());
            assert_eq!(
                one, other,
                "SHOP_TEST_SEED={}, request {}",
                self.seed, self.step
            );
            let Some((_, text)) = one else { return };
            world
                .codes
                .extend(text.split(' ').next_back().map(str::to_owned));
        }
    }

    /// What one of the shops has told its listeners, the other has told as well.
    async fn settle(&mut self) {
        let head = self
            .sqlite
            .app
            .db
            .read("test.head", bus::head)
            .await
            .unwrap();
        if head == self.head {
            return;
        }
        self.head = head;
        for shop in [&self.sqlite, &self.postgres] {
            shop.app.db.flush_events().await.unwrap();
            let mut told = shop.app.bus.watch();
            let told = tokio::time::timeout(PATIENCE, told.wait_for(|told| *told >= head)).await;
            let place = (self.seed, self.step);
            assert!(
                told.is_ok(),
                "{:?} tells of no event {head}: {place:?}",
                shop.engine
            );
        }
    }

    pub(super) fn advance_clock(&self, span: Duration) {
        self.sqlite.advance_clock(span);
        self.postgres.advance_clock(span);
    }

    /// What waited too long for its money is cancelled, the same here and there.
    pub(super) async fn expire(&self) {
        let [one, other] = [&self.sqlite, &self.postgres].map(|shop| expire_due(&shop.app));
        assert_eq!(
            one.await.unwrap(),
            other.await.unwrap(),
            "seed {}",
            self.seed
        );
    }

    /// A new session, without a password: its access token and its refresh token.
    pub(super) async fn sign_in(&self, user: &str) -> (String, String) {
        let user = UserId(user.parse().unwrap());
        let mut tokens = BTreeSet::new();
        for shop in [&self.sqlite, &self.postgres] {
            let app = Arc::clone(&shop.app);
            let signed_in = shop.app.db.write("test.sign_in", move |tx| {
                shop_accounts::sign_in(tx, &app, user)
            });
            let signed_in = signed_in.await.unwrap();
            tokens.insert((signed_in.access_token, signed_in.refresh_token));
        }
        assert_eq!(tokens.len(), 1, "the shops draw different numbers");
        tokens.pop_first().unwrap()
    }

    pub(super) async fn make_admin(&self, user: &str) {
        let user = UserId(user.parse().unwrap());
        for shop in [&self.sqlite, &self.postgres] {
            let made = shop.app.db.write("test.set_role", move |tx| {
                shop_accounts::set_role(tx, user, Role::Admin)
            });
            made.await.unwrap();
        }
    }

    /// Fails the test unless both keep the same rows.
    pub(super) fn keep_the_same(&self) {
        let [one, other] = [&self.sqlite, &self.postgres].map(|shop| {
            let raw = shop.raw_db();
            raw.assert_sound();
            let mut rows = raw.dump();
            rows.remove("refinery_schema_history").unwrap();
            // Each engine finds in its own way; what is found was compared all along.
            rows.remove("product_search").unwrap();
            rows.remove("postings").unwrap();
            rows
        });
        for (table, rows) in &one {
            let [here, there] = [rows, &other[table]].map(BTreeSet::from_iter);
            let difference: Vec<&String> = here.symmetric_difference(&there).copied().collect();
            assert!(
                difference.is_empty(),
                "seed {}, `{table}`: {difference:#?}",
                self.seed
            );
        }
        assert_eq!(one, other, "seed {}", self.seed);
    }

    /// Fails the test unless every operation of the document did what it is for.
    pub(super) fn were_asked_for_everything(&self) {
        let went_well = |name: &String| {
            let statuses = self.answered.get(name);
            statuses.is_some_and(|statuses| statuses.keys().any(|status| *status < 300))
        };
        let names = OPERATIONS.iter().map(named);
        let never: Vec<_> = names
            .filter(|name| !went_well(name) && !NEVER_WELL.contains(&name.as_str()))
            .collect();
        assert!(
            never.is_empty(),
            "teach the twins to ask for these as clients will: {never:#?}; they answered {:#?}",
            self.answered
        );
    }

    fn count(&mut self, request: &Request, status: u16) {
        let path = request.path.split('?').next().unwrap_or_default();
        let meant = OPERATIONS
            .iter()
            .filter(|known| known.method == request.method && known.fits(path))
            // `/orders/mine` fits `/orders/{id}` too; the one with fewer holes is meant.
            .min_by_key(|known| known.path.matches('{').count());
        let name = meant.map_or("elsewhere".to_owned(), named);
        let statuses = self.answered.entry(name).or_default();
        *statuses.entry(status).or_default() += 1;
    }
}

fn named(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}

async fn send(shop: &TestShop, request: &Request) -> Answer {
    let mut sent = http::Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .body(Body::from(request.body.clone()))
        .unwrap_or_else(|error| panic!("{error}: {request}"));
    let signature = request
        .signed
        .then(|| shop.signature(&request.body).into_bytes());
    let signature = signature.map(|value| ("x-razorpay-signature", value));
    for (name, value) in request.headers.iter().chain(&signature) {
        sent.headers_mut()
            .append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    shop.send(sent, IpAddr::V4(Ipv4Addr::LOCALHOST)).await
}

fn shown(answer: &Answer) -> String {
    let headers = answer.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()))
        .collect();
    let body = String::from_utf8_lossy(&answer.body);
    format!("{}\n{}\n\n{body}", answer.status, headers.join("\n"))
}
