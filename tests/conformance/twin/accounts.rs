//! Who registers, signs in and out, and who asks for nothing in particular.

use std::sync::LazyLock;

use http::Method;

use super::world::{Request, World};
use crate::{
    conformance::dice::{NUMBERS, object, percent},
    support::{Operation, operations},
};

const PASSWORD: &str = "correct horse battery";

pub(super) fn registration(email: &str, name: &str) -> Request {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let members = [
        ("email", json(email)),
        ("password", json(PASSWORD)),
        ("name", json(name)),
    ];
    Request::new(Method::POST, "/auth/register").json(object(&members))
}

pub(super) fn login(email: &str) -> Request {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let members = [("email", json(email)), ("password", json(PASSWORD))];
    Request::new(Method::POST, "/auth/login").json(object(&members))
}

const EMAILS: [&str; 12] = [
    "user0@example.com",
    "USER1@Example.COM",
    "ren\u{e9}@b\u{fc}cher.example",
    "rene\u{301}@xn--bcher-kva.example",
    "nul\0@example.com",
    "a@b",
    "two@at@example.com",
    "''@example.com",
    "a b@example.com",
    "x@exam\u{0}ple.com",
    "",
    "\u{10ffff}@example.com",
];

/// Hashing a password takes long: seldom with one that is to be hashed.
pub(super) fn register_or_log_in(world: &mut World) -> Request {
    let email = world.dice.pick(&EMAILS).to_owned();
    let path = ["/auth/register", "/auth/login"][world.dice.below(2)];
    let password = if world.dice.once_in(3) {
        PASSWORD.to_owned()
    } else {
        ["short", "\0", "123456\u{0}7890"][world.dice.below(3)].to_owned()
    };
    let mut members = vec![
        ("email", world.dice.json_text(&email)),
        ("password", world.dice.json_text(&password)),
    ];
    if path == "/auth/register" {
        let name = world.dice.text();
        members.push(("name", world.dice.json_text(&name)));
    }
    Request::new(Method::POST, path).json(object(&members))
}

pub(super) fn sessions(world: &mut World) -> Request {
    let known = world.dice.any(&world.refresh_tokens).unwrap_or_default();
    let last = world.refresh_tokens.last().cloned().unwrap_or_default();
    let token = match world.dice.below(10) {
        0 => world.dice.text(),
        1 => known.to_uppercase(),
        2 | 3 => known,
        _ => last,
    };
    let body = object(&[("refreshToken", world.dice.json_text(&token))]);
    let path = match world.dice.below(6) {
        0 => "/auth/logout",
        _ => "/auth/refresh",
    };
    Request::new(Method::POST, path).json(body)
}

pub(super) fn me(world: &mut World) -> Request {
    let request = Request::get("/me");
    match world.dice.below(6) {
        0 => request,
        1 => request.with("authorization", vec![0xff, b' ', 0xe9]),
        2 => match world.dice.any(&world.loose_tokens) {
            Some(token) => request.by(&token),
            None => request.by("no.token.atall"),
        },
        _ => {
            let user = world.customer();
            let token = world.users[user].token.clone();
            request.by(&token)
        }
    }
}

/// Every operation of the document whose answer ends.
pub(super) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let stream = "/responses/200/content/text~1event-stream";
    let all = operations().into_iter();
    all.filter(|it| it.text.pointer(stream).is_none()).collect()
});

/// Any operation of the document, also one that this test knows nothing of.
pub(super) fn any_operation(world: &mut World) -> Request {
    let drawn = world.dice.below(OPERATIONS.len());
    without_sense(world, &OPERATIONS[drawn])
}

/// An operation with whatever comes.
pub(super) fn without_sense(world: &mut World, operation: &Operation) -> Request {
    let id = if world.dice.once_in(2) {
        world.product_id()
    } else {
        world.strange_id()
    };
    let mut request = Request::outside(&operation.path_of(&id));
    request.method = operation.method.clone();
    if operation.needs_token {
        request = request.by(&world.admin());
    }
    if operation.takes_json {
        let names = [
            "name", "quantity", "status", "email", "delta", "token", "code",
        ];
        let name = world.dice.pick(&names).to_owned();
        let value = world.dice.pick(NUMBERS).to_owned();
        request = request.json(object(&[(name.as_str(), value)]));
    }
    request
}

/// What stands outside the API, and what stands nowhere.
pub(super) fn elsewhere(world: &mut World) -> Request {
    let path = match world.dice.below(14) {
        0 => "/openapi.json".to_owned(),
        1 | 2 => "/healthz".to_owned(),
        3 | 4 => "/readyz".to_owned(),
        5 => "/problems/insufficient-stock".to_owned(),
        6 => format!("/problems/{}", percent(&world.dice.text())),
        7 => format!("/images/{}", percent(&world.dice.text())),
        8 => "/images/01900000-0000-7000-8000-000000000000.png".to_owned(),
        9 => "/".to_owned(),
        10 => "//api/v1/products".to_owned(),
        11 => "/api/v1/products/".to_owned(),
        12 => format!("/api/v1/{}", percent(&world.dice.text())),
        _ => "/api/v1/ws?since=-1".to_owned(),
    };
    Request::outside(&path)
}
