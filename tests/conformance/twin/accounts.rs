//! Requests to accounts and sessions, and to every operation of the OpenAPI document.

use std::sync::LazyLock;

use http::Method;

use super::{
    catalog::query_string,
    shopping::TIMESTAMPS,
    state::{Request, State},
};
use crate::{
    conformance::rng::{NUMBERS, json_object, percent_encode},
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
    Request::new(Method::POST, "/auth/register").json(json_object(&members))
}

pub(super) fn login(email: &str) -> Request {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let members = [("email", json(email)), ("password", json(PASSWORD))];
    Request::new(Method::POST, "/auth/login").json(json_object(&members))
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

/// Registers or logs in. Most passwords are invalid, because hashing is slow.
pub(super) fn register_or_log_in(state: &mut State) -> Request {
    let email = state.rng.pick(&EMAILS).to_owned();
    let path = ["/auth/register", "/auth/login"][state.rng.below(2)];
    let password = if state.rng.one_in(3) {
        PASSWORD.to_owned()
    } else {
        ["short", "\0", "123456\u{0}7890"][state.rng.below(3)].to_owned()
    };
    let mut members = vec![
        ("email", state.rng.json_text(&email)),
        ("password", state.rng.json_text(&password)),
    ];
    if path == "/auth/register" {
        let name = state.rng.text();
        members.push(("name", state.rng.json_text(&name)));
    }
    Request::new(Method::POST, path).json(json_object(&members))
}

pub(super) fn sessions(state: &mut State) -> Request {
    let known = state.rng.choose(&state.refresh_tokens).unwrap_or_default();
    let last = state.refresh_tokens.last().cloned().unwrap_or_default();
    let token = match state.rng.below(10) {
        0 => state.rng.text(),
        1 => known.to_uppercase(),
        2 | 3 => known,
        _ => last,
    };
    let body = json_object(&[("refreshToken", state.rng.json_text(&token))]);
    let path = match state.rng.below(6) {
        0 => "/auth/logout",
        _ => "/auth/refresh",
    };
    Request::new(Method::POST, path).json(body)
}

pub(super) fn me(state: &mut State) -> Request {
    let request = Request::get("/me");
    match state.rng.below(6) {
        0 => request,
        1 => request.header("authorization", vec![0xff, b' ', 0xe9]),
        2 => match state.rng.choose(&state.access_tokens) {
            Some(token) => request.bearer(&token),
            None => request.bearer("no.token.atall"),
        },
        _ => {
            let user = state.customer();
            let token = state.users[user].token.clone();
            request.bearer(&token)
        }
    }
}

/// The last user has no cart, so that its sessions may end at any time.
const IDLE: usize = 5;

/// Returns a token or code that was sent, usually the newest.
fn sent_token(state: &mut State, known: &[String]) -> String {
    match state.rng.below(8) {
        0 => state.rng.text(),
        1 => state.rng.choose(known).unwrap_or_default(),
        _ => known.last().cloned().unwrap_or_default(),
    }
}

/// Requests emailed links, and uses their tokens.
pub(super) fn links(state: &mut State) -> Request {
    let (verification_tokens, reset_tokens) = (
        state.verification_tokens.clone(),
        state.reset_tokens.clone(),
    );
    let post = |path| Request::new(Method::POST, path);
    match state.rng.below(8) {
        0..=2 => {
            let unusual = state.rng.pick(&EMAILS).to_owned();
            let email = [unusual, "user5@example.com".to_owned()][state.rng.below(2)].clone();
            let body = json_object(&[("email", state.rng.json_text(&email))]);
            post("/auth/forgot-password").json(body)
        }
        3 => {
            let user = [state.customer(), IDLE][state.rng.below(2)];
            post("/auth/verify-email/resend").bearer(&state.users[user].token)
        }
        4 | 5 => {
            let token = sent_token(state, &verification_tokens);
            let body = json_object(&[("token", state.rng.json_text(&token))]);
            post("/auth/verify-email").json(body)
        }
        _ => {
            let token = sent_token(state, &reset_tokens);
            let password = if state.rng.one_in(4) {
                "password1"
            } else {
                PASSWORD
            };
            let password = state.rng.json_text(password);
            let body = json_object(&[
                ("token", state.rng.json_text(&token)),
                ("password", password),
            ]);
            post("/auth/reset-password").json(body)
        }
    }
}

/// Changes the account of a user. The phone codes belong to one user.
pub(super) fn account(state: &mut State) -> Request {
    let token = state.users[2].token.clone();
    let request = |method, path| Request::new(method, path).bearer(&token);
    match state.rng.below(12) {
        0..=2 => {
            let name = state.rng.text();
            request(Method::PATCH, "/me").json(json_object(&[("name", state.rng.json_text(&name))]))
        }
        3..=5 => {
            let phone = [
                "+919812345678",
                "+12",
                "+0123456789",
                "919812345678",
                "+\u{661}\u{662}",
            ];
            let phone = state.rng.pick(&phone).to_owned();
            let body = json_object(&[("phone", state.rng.json_text(&phone))]);
            request(Method::POST, "/me/phone").json(body)
        }
        6..=8 => {
            let codes = state.phone_codes.clone();
            let code = sent_token(state, &codes);
            let body = json_object(&[("code", state.rng.json_text(&code))]);
            request(Method::POST, "/me/phone/verify").json(body)
        }
        _ => {
            let new = if state.rng.one_in(3) {
                PASSWORD
            } else {
                "short"
            };
            let new = state.rng.json_text(new);
            let current = state.rng.json_text(PASSWORD);
            let body = json_object(&[("currentPassword", current), ("newPassword", new)]);
            let token = state.users[IDLE].token.clone();
            Request::new(Method::PUT, "/me/password")
                .bearer(&token)
                .json(body)
        }
    }
}

/// Lists and reads users, and changes their roles, as an admin.
pub(super) fn users(state: &mut State) -> Request {
    let admin = state.admin();
    if state.rng.one_in(3) {
        let id = match state.rng.below(4) {
            0 => state.unusual_id(),
            // The first admin keeps the role, and is often the last admin.
            1 => state.users[0].id.clone(),
            _ => state.users[IDLE].id.clone(),
        };
        let role = if id == state.users[0].id {
            "ADMIN"
        } else {
            state.rng.pick(&["ADMIN", "CUSTOMER", "BOSS"])
        };
        let path = format!("/admin/users/{id}");
        if state.rng.one_in(4) {
            return Request::get(&path).bearer(&admin);
        }
        let body = json_object(&[("role", state.rng.json_text(role))]);
        return Request::new(Method::PATCH, &path).bearer(&admin).json(body);
    }
    let query = match state.rng.below(5) {
        0 => format!("?email={}", percent_encode(state.rng.pick(&EMAILS))),
        1 => "?email=USER3%40example.com".to_owned(),
        2 => format!("?page={}&limit=2", state.rng.below(5)),
        3 => "?role=ADMIN".to_owned(),
        _ => String::new(),
    };
    Request::get(&format!("/admin/users{query}")).bearer(&admin)
}

/// Lists emails, and reads one.
pub(super) fn mailbox(state: &mut State) -> Request {
    let admin = state.admin();
    let known = state.rng.choose(&state.emails);
    let path = match known {
        Some(id) if state.rng.one_in(2) => format!("/admin/mail/{id}"),
        _ => format!("/admin/mail?limit={}", state.rng.between(1, 9)),
    };
    Request::get(&path).bearer(&admin)
}

/// Lists the audit log.
pub(super) fn audit(state: &mut State) -> Request {
    let admin = state.admin();
    let mut query = Vec::new();
    for name in ["actor", "target"] {
        if state.rng.one_in(3) {
            let value = match state.rng.below(5) {
                0 => state.unusual_id(),
                1 => state.users[0].id.clone(),
                2 => state.product_id(),
                _ => state
                    .rng
                    .pick(&["USER", "SYSTEM", "product", "a-b"])
                    .to_owned(),
            };
            query.push((name, value));
        }
    }
    if state.rng.one_in(4) {
        let action = state
            .rng
            .pick(&["product.update", "order.refund", "x", "%00"]);
        query.push(("action", action.to_owned()));
    }
    for name in ["from", "to"] {
        if state.rng.one_in(6) {
            query.push((name, state.rng.pick(&TIMESTAMPS).to_owned()));
        }
    }
    if state.rng.one_in(2) {
        query.push(("limit", state.rng.between(1, 9).to_string()));
    }
    let query = query_string(state, &query);
    Request::get(&format!("/admin/audit{query}")).bearer(&admin)
}

/// Every operation of the OpenAPI document, except for streams.
pub(super) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let all = operations().into_iter();
    all.filter(|operation| !operation.is_stream()).collect()
});

/// Returns a minimal request to any operation, including those without their own generator.
pub(super) fn any_operation(state: &mut State) -> Request {
    let index = state.rng.below(OPERATIONS.len());
    minimal_request(state, &OPERATIONS[index])
}

/// Returns a request to an operation, with a random id and a one-member body.
pub(super) fn minimal_request(state: &mut State, operation: &Operation) -> Request {
    let id = if state.rng.one_in(2) {
        state.product_id()
    } else {
        state.unusual_id()
    };
    let mut request = Request::at_root(&operation.path_of(&id));
    request.method = operation.method.clone();
    if operation.needs_token {
        request = request.bearer(&state.admin());
    }
    if operation.takes_json {
        let names = [
            "name", "quantity", "status", "email", "delta", "token", "code",
        ];
        let name = state.rng.pick(&names).to_owned();
        let value = state.rng.pick(NUMBERS).to_owned();
        request = request.json(json_object(&[(name.as_str(), value)]));
    }
    request
}

/// Requests paths outside the API, and unknown paths.
pub(super) fn outside_api(state: &mut State) -> Request {
    let path = match state.rng.below(14) {
        0 => "/openapi.json".to_owned(),
        1 | 2 => "/healthz".to_owned(),
        3 | 4 => "/readyz".to_owned(),
        5 => "/problems/insufficient-stock".to_owned(),
        6 => format!("/problems/{}", percent_encode(&state.rng.text())),
        7 => format!("/images/{}", percent_encode(&state.rng.text())),
        8 => "/images/01900000-0000-7000-8000-000000000000.png".to_owned(),
        9 => "/".to_owned(),
        10 => "//api/v1/products".to_owned(),
        11 => "/api/v1/products/".to_owned(),
        12 => format!("/api/v1/{}", percent_encode(&state.rng.text())),
        _ => "/api/v1/ws?since=-1".to_owned(),
    };
    Request::at_root(&path)
}
