//! The two shops and their comparison.

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
    state::{Request, State},
};
use crate::support::{Engine, Operation, TestResponse, TestShop, options};

/// How long the second shop may take to publish an event that the first has published.
const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// Fixed secrets; the shops would otherwise generate different ones.
const SETTINGS: [(&str, &str); 3] = [
    ("rate_limit", "off"),
    (
        "jwt_secret",
        "a key that only the twins and their test know",
    ),
    ("razorpay_webhook_secret", "whsec_of_the_twins"),
];

/// Operations that plain HTTP requests cannot complete.
const NEVER_SUCCESSFUL: &[&str] = &["GET /api/v1/ws"];

/// Two shops that get the same requests at the same times.
pub(super) struct Twins {
    sqlite: TestShop,
    postgres: TestShop,
    /// The number of the newest event that both have published.
    head: i64,
    seed: u64,
    step: usize,
    /// For each operation of the OpenAPI document, the number of responses by status.
    responses: BTreeMap<String, BTreeMap<u16, usize>>,
}

impl Twins {
    /// Returns `None` if an engine is unavailable.
    pub(super) async fn open(seed: u64) -> Option<Twins> {
        let sqlite = TestShop::with(Engine::Sqlite, &SETTINGS, options()).await?;
        let postgres = TestShop::with(Engine::Postgres, &SETTINGS, options()).await?;
        Some(Twins {
            sqlite,
            postgres,
            head: 0,
            seed,
            step: 0,
            responses: BTreeMap::new(),
        })
    }

    /// Sends a request to both. Fails the test unless the responses are equal.
    pub(super) async fn send(&mut self, request: &Request) -> TestResponse {
        self.step += 1;
        let (one, other) = futures_util::future::join(
            send_to(&self.sqlite, request),
            send_to(&self.postgres, request),
        )
        .await;
        let is_same = one.status == other.status
            && one.headers == other.headers
            && one.body == other.body
            && one.status < 500;
        assert!(
            is_same,
            "SHOP_TEST_SEED={}, request {}:\n{request}\n\nSQLite: {}\n\nPostgres: {}\n",
            self.seed,
            self.step,
            format_response(&one),
            format_response(&other)
        );
        self.count(request, one.status);
        self.wait_for_events().await;
        one
    }

    /// Sends the queued emails and text messages of both. Fails the test unless they are equal.
    pub(super) async fn compare_messages(&self, state: &mut State) {
        let [one, other] = [
            self.sqlite.sent_emails().await,
            self.postgres.sent_emails().await,
        ];
        assert_eq!(
            one, other,
            "SHOP_TEST_SEED={}, request {}",
            self.seed, self.step
        );
        let links = one.iter().filter_map(|email| email.link.as_deref());
        let tokens = |page: &str| {
            let found = links.clone().filter_map(|link| link.split_once(page));
            found.map(|(_, token)| token.to_owned()).collect()
        };
        state.verification_tokens = tokens("/verify-email#token=");
        state.reset_tokens = tokens("/reset-password#token=");
        loop {
            let [one, other] = [&self.sqlite, &self.postgres].map(|shop| shop.sms.read());
            assert_eq!(
                one, other,
                "SHOP_TEST_SEED={}, request {}",
                self.seed, self.step
            );
            let Some((_, text)) = one else { return };
            state
                .phone_codes
                .extend(text.split(' ').next_back().map(str::to_owned));
        }
    }

    /// Waits until the second shop has published the same events as the first.
    async fn wait_for_events(&mut self) {
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
            let mut published = shop.app.bus.watch();
            let reached = published.wait_for(|published| *published >= head);
            let reached = tokio::time::timeout(EVENT_TIMEOUT, reached).await;
            assert!(
                reached.is_ok(),
                "{:?} did not publish event {head}: SHOP_TEST_SEED={}, request {}",
                shop.engine,
                self.seed,
                self.step
            );
        }
    }

    pub(super) fn advance_clock(&self, span: Duration) {
        self.sqlite.advance_clock(span);
        self.postgres.advance_clock(span);
    }

    /// Expires unpaid orders. Fails the test unless both shops expire the same number.
    pub(super) async fn expire_orders(&self) {
        let [one, other] = [&self.sqlite, &self.postgres].map(|shop| expire_due(&shop.app));
        assert_eq!(
            one.await.unwrap(),
            other.await.unwrap(),
            "seed {}",
            self.seed
        );
    }

    /// Creates a session without a password. Returns its access token and its refresh token.
    pub(super) async fn sign_in(&self, user: &str) -> (String, String) {
        let user = UserId(user.parse().unwrap());
        let mut tokens = BTreeSet::new();
        for shop in [&self.sqlite, &self.postgres] {
            let app = Arc::clone(&shop.app);
            let signed_in = shop.app.db.write("test.sign_in", move |tx| {
                shop_accounts::sign_in(tx, &app.tokens, user)
            });
            let signed_in = signed_in.await.unwrap();
            tokens.insert((signed_in.access_token, signed_in.refresh_token));
        }
        assert_eq!(tokens.len(), 1, "the shops generate different tokens");
        tokens.pop_first().unwrap()
    }

    pub(super) async fn make_admin(&self, user: &str) {
        let user = UserId(user.parse().unwrap());
        for shop in [&self.sqlite, &self.postgres] {
            let created = shop.app.db.write("test.set_role", move |tx| {
                shop_accounts::set_role(tx, user, Role::Admin)
            });
            created.await.unwrap();
        }
    }

    /// Fails the test unless both databases have the same rows.
    pub(super) fn assert_same_rows(&self) {
        let [one, other] = [&self.sqlite, &self.postgres].map(|shop| {
            let raw = shop.raw_db();
            raw.assert_invariants();
            let mut rows = raw.dump();
            rows.remove("refinery_schema_history").unwrap();
            // The search indexes differ by engine. Search results are compared as responses.
            rows.remove("product_search").unwrap();
            rows.remove("postings").unwrap();
            rows
        });
        for (table, rows) in &one {
            let [left, right] = [rows, &other[table]].map(BTreeSet::from_iter);
            let difference: Vec<&String> = left.symmetric_difference(&right).copied().collect();
            assert!(
                difference.is_empty(),
                "seed {}, `{table}`: {difference:#?}",
                self.seed
            );
        }
        assert_eq!(one, other, "seed {}", self.seed);
    }

    /// Fails the test unless every operation of the OpenAPI document had a successful response.
    pub(super) fn assert_every_operation_succeeded(&self) {
        let succeeded = |name: &String| {
            let statuses = self.responses.get(name);
            statuses.is_some_and(|statuses| statuses.keys().any(|status| *status < 300))
        };
        let names = OPERATIONS.iter().map(operation_name);
        let unsuccessful: Vec<_> = names
            .filter(|name| !succeeded(name) && !NEVER_SUCCESSFUL.contains(&name.as_str()))
            .collect();
        assert!(
            unsuccessful.is_empty(),
            "add realistic requests to these operations: {unsuccessful:#?}; responses: {:#?}",
            self.responses
        );
    }

    fn count(&mut self, request: &Request, status: u16) {
        let path = request.path.split('?').next().unwrap_or_default();
        let operation = OPERATIONS
            .iter()
            .filter(|known| known.method == request.method && known.fits(path))
            // `/orders/mine` also matches `/orders/{id}`; the path with fewer parameters wins.
            .min_by_key(|known| known.path.matches('{').count());
        let name = operation.map_or("elsewhere".to_owned(), operation_name);
        let statuses = self.responses.entry(name).or_default();
        *statuses.entry(status).or_default() += 1;
    }
}

fn operation_name(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}

async fn send_to(shop: &TestShop, request: &Request) -> TestResponse {
    let mut sent = http::Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .body(Body::from(request.body.clone()))
        .unwrap_or_else(|error| panic!("{error}: {request}"));
    let signature = request
        .is_signed
        .then(|| shop.signature(&request.body).into_bytes());
    let signature = signature.map(|value| ("x-razorpay-signature", value));
    for (name, value) in request.headers.iter().chain(&signature) {
        sent.headers_mut()
            .append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    shop.send(sent, IpAddr::V4(Ipv4Addr::LOCALHOST)).await
}

fn format_response(answer: &TestResponse) -> String {
    let headers = answer.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()))
        .collect();
    let body = String::from_utf8_lossy(&answer.body);
    format!("{}\n{}\n\n{body}", answer.status, headers.join("\n"))
}
