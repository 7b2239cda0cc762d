//! Who registers, signs in and out, and who asks for nothing in particular.

use std::sync::LazyLock;

use http::Method;

use super::state::{Request, World};
use crate::{
    conformance::rng::{NUMBERS, object, percent},
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

/// The last of the users shops nothing, so that its sessions may end at any time.
const IDLE: usize = 5;

/// A token or a code that was sent, mostly the last one.
fn sent(world: &mut World, known: &[String]) -> String {
    match world.dice.below(8) {
        0 => world.dice.text(),
        1 => world.dice.any(known).unwrap_or_default(),
        _ => known.last().cloned().unwrap_or_default(),
    }
}

/// What links in mails lead to, and asking for them.
pub(super) fn links(world: &mut World) -> Request {
    let (proofs, resets) = (world.proofs.clone(), world.resets.clone());
    let post = |path| Request::new(Method::POST, path);
    match world.dice.below(8) {
        0..=2 => {
            let strange = world.dice.pick(&EMAILS).to_owned();
            let email = [strange, "user5@example.com".to_owned()][world.dice.below(2)].clone();
            let body = object(&[("email", world.dice.json_text(&email))]);
            post("/auth/forgot-password").json(body)
        }
        3 => {
            let user = [world.customer(), IDLE][world.dice.below(2)];
            post("/auth/verify-email/resend").by(&world.users[user].token)
        }
        4 | 5 => {
            let token = sent(world, &proofs);
            let body = object(&[("token", world.dice.json_text(&token))]);
            post("/auth/verify-email").json(body)
        }
        _ => {
            let token = sent(world, &resets);
            let password = if world.dice.once_in(4) {
                "password1"
            } else {
                PASSWORD
            };
            let password = world.dice.json_text(password);
            let body = object(&[
                ("token", world.dice.json_text(&token)),
                ("password", password),
            ]);
            post("/auth/reset-password").json(body)
        }
    }
}

/// The own account and its phone: one user's, whom the codes belong to.
pub(super) fn own_account(world: &mut World) -> Request {
    let token = world.users[2].token.clone();
    let request = |method, path| Request::new(method, path).by(&token);
    match world.dice.below(12) {
        0..=2 => {
            let name = world.dice.text();
            request(Method::PATCH, "/me").json(object(&[("name", world.dice.json_text(&name))]))
        }
        3..=5 => {
            let phone = [
                "+919812345678",
                "+12",
                "+0123456789",
                "919812345678",
                "+\u{661}\u{662}",
            ];
            let phone = world.dice.pick(&phone).to_owned();
            let body = object(&[("phone", world.dice.json_text(&phone))]);
            request(Method::POST, "/me/phone").json(body)
        }
        6..=8 => {
            let codes = world.codes.clone();
            let code = sent(world, &codes);
            let body = object(&[("code", world.dice.json_text(&code))]);
            request(Method::POST, "/me/phone/verify").json(body)
        }
        _ => {
            let new = if world.dice.once_in(3) {
                PASSWORD
            } else {
                "short"
            };
            let new = world.dice.json_text(new);
            let current = world.dice.json_text(PASSWORD);
            let body = object(&[("currentPassword", current), ("newPassword", new)]);
            let token = world.users[IDLE].token.clone();
            Request::new(Method::PUT, "/me/password")
                .by(&token)
                .json(body)
        }
    }
}

/// Everybody's accounts, for admins.
pub(super) fn users(world: &mut World) -> Request {
    let admin = world.admin();
    if world.dice.once_in(3) {
        let id = match world.dice.below(4) {
            0 => world.strange_id(),
            // The first admin stays: often it is the last one.
            1 => world.users[0].id.clone(),
            _ => world.users[IDLE].id.clone(),
        };
        let role = if id == world.users[0].id {
            "ADMIN"
        } else {
            world.dice.pick(&["ADMIN", "CUSTOMER", "BOSS"])
        };
        let body = object(&[("role", world.dice.json_text(role))]);
        let path = format!("/admin/users/{id}");
        return Request::new(Method::PATCH, &path).by(&admin).json(body);
    }
    let query = match world.dice.below(5) {
        0 => format!("?email={}", percent(world.dice.pick(&EMAILS))),
        1 => "?email=USER3%40example.com".to_owned(),
        2 => format!("?page={}&limit=2", world.dice.below(5)),
        3 => "?role=ADMIN".to_owned(),
        _ => String::new(),
    };
    Request::get(&format!("/admin/users{query}")).by(&admin)
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
