//! What may happen to any request on its way: cut off, garbled, under another name.

use http::Method;

use super::state::{Request, World};

/// The request, in one of a dozen cases not as it was meant.
pub(super) fn spoiled(world: &mut World, mut request: Request) -> Request {
    if world.dice.once_in(6) {
        let id = world.dice.pick(&[
            "a-request.of_mine",
            "",
            "two words",
            "caf\u{e9}",
            "x,y",
            "'; --",
        ]);
        request = request.with("x-request-id", id);
    } else if world.dice.once_in(60) {
        request = request.with("x-request-id", "r".repeat(world.dice.from(127, 130)));
    }
    if !world.dice.once_in(14) {
        return request;
    }
    let body = String::from_utf8(request.body.clone()).unwrap_or_default();
    let open = body.strip_prefix('{').unwrap_or_default();
    let more = |request: Request, body: String| request.body(body);
    match world.dice.below(16) {
        0 => without(request, "authorization"),
        1 => {
            let token = world.dice.any(&world.loose_tokens).unwrap_or_default();
            request.by(&token)
        }
        2 => without(request, "authorization").with("authorization", "Basic YTpi"),
        3 => without(request, "content-type"),
        4 => without(request, "content-type").with("content-type", "text/plain; charset=utf-7"),
        5 => {
            let length = request.body.len();
            let length = world.dice.below(length + 1);
            request.body.truncate(length);
            request
        }
        6 if !open.is_empty() => more(request, format!("{{\"unknown\":1,{open}")),
        7 if !open.is_empty() => more(request, format!("{{{},{open}", open.trim_end_matches('}'))),
        8 => more(request, format!("{body}}}")),
        9 => more(request, format!("[{body}]")),
        10 => more(request, format!("{}{}", "[".repeat(200), "]".repeat(200))),
        11 => {
            let at = world.dice.below(request.body.len() + 1);
            request.body.splice(at..at, [0xff, 0xc0, 0x80]);
            request
        }
        12 => {
            let at = world.dice.below(request.body.len() + 1);
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
            ][world.dice.below(6)]
            .clone();
            request
        }
        14 => {
            request
                .path
                .push_str(["?x=1", "?", "&page=1", "/", "%00"][world.dice.below(5)]);
            request
        }
        _ => more(request, format!("\u{feff}{body}")),
    }
}

fn without(mut request: Request, name: &str) -> Request {
    request.headers.retain(|(known, _)| *known != name);
    request
}
