//! The way in to the live inventory.

use axum::{
    extract::{FromRequestParts, Request, ws::WebSocketUpgrade},
    response::Response,
};
use http::{HeaderMap, header};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::{Update, socket};
use crate::{
    error::{Error, Kind, Result},
    web::{App, Routes, State, extract::Query, limits::ClientAddress},
};

/// How large a listener's message may be, in bytes.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// How much may wait to be sent to one listener, in bytes.
const WRITE_LIMIT: usize = 256 * 1024;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(follow_inventory))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowQuery {
    /// Go on behind this event.
    since: Option<i64>,
}

/// Follow the live inventory by WebSocket
///
/// First `{"type":"HELLO","seq":N}`, then every committed change of stock in commit order.
/// `{"type":"subscribe","productIds":[…]}` narrows, `{"type":"subscribe"}` widens.
#[utoipa::path(get, path = "/ws", tag = "live", params(FollowQuery),
    responses(
        (status = 101, description = "Messages as this one follow", body = Update),
        (status = 403, description = "`forbidden`: a browser page of a foreign origin"),
    ))]
pub(crate) async fn follow_inventory(
    axum::extract::State(app): State,
    Query(query): Query<FollowQuery>,
    ClientAddress(client): ClientAddress,
    request: Request,
) -> Result<Response> {
    if !is_own_origin(&app, request.headers()) {
        return Err(Error::new(
            Kind::Forbidden,
            "this page's origin may not listen here",
        ));
    }
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|e| {
            Error::new(
                Kind::InvalidHeader,
                format!("this is for WebSocket clients: {}", e.body_text()),
            )
        })?;
    let place = app.sockets.take(client)?;
    Ok(upgrade
        .max_message_size(MESSAGE_LIMIT)
        .max_frame_size(MESSAGE_LIMIT)
        .max_write_buffer_size(WRITE_LIMIT)
        .on_upgrade(move |socket| socket::talk(socket, app, query.since, place)))
}

/// A browser says which page is asking; other clients say nothing. The page must be the shop's
/// own, or one that the operator named.
fn is_own_origin(app: &App, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let origin = origin.to_lowercase();
    let own = origin_of(&app.public_url);
    // On one's own machine the shop has more than one name.
    let local = own
        .as_ref()
        .map(|own| own.replacen("//127.0.0.1", "//localhost", 1));
    own.as_ref() == Some(&origin)
        || local.as_ref() == Some(&origin)
        || app.config.cors_origins.contains(&origin)
}

/// Scheme, host and port of a URL, as browsers write an origin (RFC 6454).
fn origin_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?).to_lowercase())
}
