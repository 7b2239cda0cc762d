//! The twin run: two shops, one on each engine, get the same random requests. Their responses must be equal byte
//! for byte, and so must their rows in the end.
//!
//! `SHOP_TEST_SEED` sets another seed, and `SHOP_TEST_TWIN_REQUESTS` the number of requests. New routes get only
//! the minimal requests of [`accounts::any_operation`]: add realistic ones to the module of their domain.

mod accounts;
mod catalog;
mod mutate;
mod pair;
mod provider;
mod shopping;
mod state;
mod variants;

use std::time::Duration;

use self::{
    pair::Twins,
    state::{Request, State, User},
};

const SEED: u64 = 1;
const REQUESTS: usize = 4000;

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("`{name}` must be a number")),
    )
}

/// Generates a request.
type Generator = fn(&mut State) -> Request;

/// The generators with their relative frequencies.
const GENERATORS: &[(usize, Generator)] = &[
    (14, catalog::list_products),
    (8, catalog::show_product),
    (7, catalog::create_product),
    (9, catalog::update_product),
    (1, catalog::delete_product),
    (7, catalog::change_stock),
    (2, catalog::stock_movements),
    (1, catalog::import),
    (2, variants::create_product),
    (3, variants::set_options),
    (3, variants::create),
    (3, variants::show),
    (5, variants::update),
    (3, variants::delete),
    (3, variants::change_stock),
    (5, catalog::categories),
    (4, catalog::collections),
    (2, catalog::images),
    (2, catalog::inventory_changes),
    (16, shopping::cart),
    (4, shopping::guest_cart),
    (10, shopping::checkout),
    (7, shopping::orders),
    (12, shopping::admin_orders),
    (6, shopping::payments),
    (10, provider::deliver),
    (3, accounts::sessions),
    (2, accounts::me),
    (5, accounts::links),
    (8, accounts::account),
    (3, accounts::users),
    (2, accounts::audit),
    (2, accounts::mailbox),
    (2, accounts::any_operation),
    (1, accounts::outside_api),
];

fn next_request(state: &mut State) -> Request {
    // A retry of the same bytes, as after a lost response.
    if state.rng.one_in(16)
        && let Some(request) = state.rng.choose(&state.sent_requests)
    {
        return request;
    }
    if state.rng.one_in(150) {
        return accounts::register_or_log_in(state);
    }
    let sum = GENERATORS.iter().map(|(weight, _)| weight).sum();
    let mut number = state.rng.below(sum);
    let chosen = GENERATORS.iter().find(|(weight, _)| {
        let is_hit = number < *weight;
        number = number.wrapping_sub(*weight);
        is_hit
    });
    let (_, generate) = chosen.unwrap();
    let request = generate(state);
    mutate::mutate(state, request)
}

/// Returns the time until the next request: usually up to 3 s, sometimes long enough for tokens, idempotency
/// keys or sessions to expire.
fn pause(state: &mut State) -> Duration {
    match state.rng.below(900) {
        0 => Duration::from_hours(31 * 24),
        1..=3 => Duration::from_hours(25),
        4..=8 => Duration::from_mins(17),
        _ if state.rng.one_in(3) => Duration::from_millis(state.rng.below(3000) as u64),
        _ => Duration::ZERO,
    }
}

/// How often all users sign in again. Access tokens are valid for 15 minutes.
const SIGN_IN_INTERVAL: Duration = Duration::from_mins(10);

/// Registers admins and customers, and signs them in.
async fn create_users(twins: &mut Twins, state: &mut State) {
    for number in 0..6 {
        let email = format!("user{number}@example.com");
        let registered = twins
            .send(&accounts::registration(&email, "Somebody"))
            .await;
        assert_eq!(registered.status, 201, "{registered:?}");
        let id = registered.text("/user/id");
        if State::is_admin(number) {
            twins.make_admin(&id).await;
        }
        state.users.push(User {
            id,
            token: String::new(),
            cart: (Vec::new(), 0),
        });
    }
    sign_in_all(twins, state).await;
    let login = accounts::login("user0@example.com");
    let answer = twins.send(&login).await;
    state.learn(&login, &answer);
}

async fn sign_in_all(twins: &Twins, state: &mut State) {
    for user in &mut state.users {
        let (access, refresh) = twins.sign_in(&user.id).await;
        state
            .access_tokens
            .push(std::mem::replace(&mut user.token, access));
        state.refresh_tokens.push(refresh);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_give_the_same_responses() {
    let seed = from_environment("SHOP_TEST_SEED").unwrap_or(SEED);
    let requests = from_environment("SHOP_TEST_TWIN_REQUESTS").unwrap_or(REQUESTS);
    let Some(mut twins) = Twins::open(seed).await else {
        return;
    };
    let mut state = State::new(seed);
    create_users(&mut twins, &mut state).await;
    for operation in accounts::OPERATIONS.iter() {
        let request = accounts::minimal_request(&mut state, operation);
        twins.send(&request).await;
    }
    let mut since_sign_in = Duration::ZERO;
    for _ in 0..requests {
        let span = pause(&mut state);
        twins.advance_clock(span);
        since_sign_in += span;
        if since_sign_in > SIGN_IN_INTERVAL {
            since_sign_in = Duration::ZERO;
            twins.expire_orders().await;
            sign_in_all(&twins, &mut state).await;
        }
        let request = next_request(&mut state);
        let answer = twins.send(&request).await;
        state.learn(&request, &answer);
        let may_send_messages = ["/auth/", "/me/"]
            .iter()
            .any(|part| request.path.contains(part));
        if may_send_messages {
            twins.compare_messages(&mut state).await;
        }
        state.sent_requests.push(request);
    }
    twins.assert_same_rows();
    if requests >= REQUESTS {
        twins.assert_every_operation_succeeded();
    }
}
