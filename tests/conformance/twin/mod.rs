//! Two shops, one on each engine, are told the same: every answer must be the same to the byte, and
//! so must what they keep.
//!
//! `SHOP_TEST_SEED` and `SHOP_TEST_TWIN_REQUESTS` tell it another way, and longer. A route that is
//! new is asked for by [`accounts::any_operation`], without much sense; teach the module of its
//! domain to ask for it as clients will.

mod accounts;
mod catalog;
mod mutate;
mod pair;
mod provider;
mod shopping;
mod state;

use std::time::Duration;

use self::{
    pair::Twins,
    state::{Request, User, World},
};

const SEED: u64 = 20_260_131;
const REQUESTS: usize = 3000;

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("`{name}` must be a number")),
    )
}

type Kind = fn(&mut World) -> Request;

/// What is asked for, and how often.
const KINDS: &[(usize, Kind)] = &[
    (14, catalog::list_products),
    (8, catalog::show_product),
    (7, catalog::create_product),
    (9, catalog::update_product),
    (1, catalog::delete_product),
    (7, catalog::change_stock),
    (5, catalog::categories),
    (2, catalog::images),
    (16, shopping::cart),
    (10, shopping::check_out),
    (7, shopping::orders),
    (12, shopping::all_orders),
    (3, shopping::payments),
    (10, provider::deliver),
    (3, accounts::sessions),
    (2, accounts::me),
    (3, accounts::links),
    (5, accounts::own_account),
    (2, accounts::users),
    (2, accounts::any_operation),
    (1, accounts::elsewhere),
];

fn next(world: &mut World) -> Request {
    // A repeat to the byte, as after a lost answer.
    if world.dice.once_in(16)
        && let Some(again) = world.dice.any(&world.sent)
    {
        return again;
    }
    if world.dice.once_in(150) {
        return accounts::register_or_log_in(world);
    }
    let sum = KINDS.iter().map(|(often, _)| often).sum();
    let mut drawn = world.dice.below(sum);
    let kind = KINDS.iter().find(|(often, _)| {
        let hit = drawn < *often;
        drawn = drawn.wrapping_sub(*often);
        hit
    });
    let request = (kind.unwrap().1)(world);
    mutate::spoiled(world, request)
}

/// Mostly moments, now and then so long that tokens, keys or sessions end.
fn pause(world: &mut World) -> Duration {
    match world.dice.below(900) {
        0 => Duration::from_hours(31 * 24),
        1..=3 => Duration::from_hours(25),
        4..=8 => Duration::from_mins(17),
        _ if world.dice.once_in(3) => Duration::from_millis(world.dice.below(3000) as u64),
        _ => Duration::ZERO,
    }
}

/// Access tokens are good for 15 minutes.
const FRESH: Duration = Duration::from_mins(10);

/// Admins and customers, signed in.
async fn people(twins: &mut Twins, world: &mut World) {
    for number in 0..6 {
        let email = format!("user{number}@example.com");
        let registered = twins.ask(&accounts::registration(&email, "Somebody")).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        let id = registered.text("/user/id");
        if World::is_admin(number) {
            twins.make_admin(&id).await;
        }
        world.users.push(User {
            id,
            token: String::new(),
            cart: (Vec::new(), 0),
        });
    }
    sign_all_in(twins, world).await;
    let login = accounts::login("user0@example.com");
    let answer = twins.ask(&login).await;
    world.hear(&login, &answer);
}

async fn sign_all_in(twins: &Twins, world: &mut World) {
    for user in &mut world.users {
        let (access, refresh) = twins.sign_in(&user.id).await;
        world
            .loose_tokens
            .push(std::mem::replace(&mut user.token, access));
        world.refresh_tokens.push(refresh);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_requests_get_the_same_answers() {
    let seed = from_environment("SHOP_TEST_SEED").unwrap_or(SEED);
    let requests = from_environment("SHOP_TEST_TWIN_REQUESTS").unwrap_or(REQUESTS);
    let Some(mut twins) = Twins::open(seed).await else {
        return;
    };
    let mut world = World::new(seed);
    people(&mut twins, &mut world).await;
    for operation in accounts::OPERATIONS.iter() {
        let request = accounts::without_sense(&mut world, operation);
        twins.ask(&request).await;
    }
    let mut since = Duration::ZERO;
    for _ in 0..requests {
        let span = pause(&mut world);
        twins.advance_clock(span);
        since += span;
        if since > FRESH {
            since = Duration::ZERO;
            twins.expire().await;
            sign_all_in(&twins, &mut world).await;
        }
        let request = next(&mut world);
        let answer = twins.ask(&request).await;
        world.hear(&request, &answer);
        let may_mail = ["/auth/", "/me/"].map(|part| request.path.contains(part));
        if may_mail.contains(&true) {
            twins.read_post(&mut world).await;
        }
        world.sent.push(request);
    }
    twins.keep_the_same();
    if requests >= REQUESTS {
        twins.were_asked_for_everything();
    }
}
