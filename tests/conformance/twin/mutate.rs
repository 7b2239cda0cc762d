//! Mutations of valid requests: truncated bodies, invalid bytes, other headers, methods and paths.

use http::Method;

use super::state::{Request, State};

/// Returns the request, mutated in about one of 14 cases.
pub(super) fn mutate(state: &mut State, mut request: Request) -> Request {
    if state.rng.one_in(6) {
        let id = state.rng.pick(&[
            "a-request.of_mine",
            "",
            "two words",
            "caf\u{e9}",
            "x,y",
            "'; --",
        ]);
        request = request.header("x-request-id", id);
    } else if state.rng.one_in(60) {
        request = request.header("x-request-id", "r".repeat(state.rng.between(127, 130)));
    }
    if !state.rng.one_in(14) {
        return request;
    }
    let body = String::from_utf8(request.body.clone()).unwrap_or_default();
    let members = body.strip_prefix('{').unwrap_or_default();
    let with_body = |request: Request, body: String| request.body(body);
    match state.rng.below(16) {
        0 => without(request, "authorization"),
        1 => {
            let token = state.rng.choose(&state.access_tokens).unwrap_or_default();
            request.bearer(&token)
        }
        2 => without(request, "authorization").header("authorization", "Basic YTpi"),
        3 => without(request, "content-type"),
        4 => without(request, "content-type").header("content-type", "text/plain; charset=utf-7"),
        5 => {
            let length = request.body.len();
            let length = state.rng.below(length + 1);
            request.body.truncate(length);
            request
        }
        6 if !members.is_empty() => with_body(request, format!("{{\"unknown\":1,{members}")),
        7 if !members.is_empty() => with_body(
            request,
            format!("{{{},{members}", members.trim_end_matches('}')),
        ),
        8 => with_body(request, format!("{body}}}")),
        9 => with_body(request, format!("[{body}]")),
        10 => with_body(request, format!("{}{}", "[".repeat(200), "]".repeat(200))),
        11 => {
            let at = state.rng.below(request.body.len() + 1);
            request.body.splice(at..at, [0xff, 0xc0, 0x80]);
            request
        }
        12 => {
            let at = state.rng.below(request.body.len() + 1);
            request.body.splice(at..at, [0]);
            request
        }
        13 => {
            request.method = [
                Method::PUT,
                Method::HEAD,
                Method::OPTIONS,
                Method::TRACE,
                Method::DELETE,
                Method::GET,
            ][state.rng.below(6)]
            .clone();
            request
        }
        14 => {
            request
                .path
                .push_str(["?x=1", "?", "&page=1", "/", "%00"][state.rng.below(5)]);
            request
        }
        _ => with_body(request, format!("\u{feff}{body}")),
    }
}

fn without(mut request: Request, name: &str) -> Request {
    request.headers.retain(|(known, _)| *known != name);
    request
}
