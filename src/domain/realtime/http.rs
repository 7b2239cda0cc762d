//! The way in to the live inventory.

use axum::{
    extract::{
        FromRequestParts, Request,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::{Update, socket};
use crate::{
    app::{App, Routes, State},
    core::error::{Error, Kind, Result},
    infra::{
        config::origin_of,
        web::{client::ClientAddress, extract::Query, shares::Full},
    },
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
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(refuse_handshake(&rejection)),
    };
    let share = app.sockets.try_acquire(client).map_err(|full| match full {
        Full::Network => {
            let retry_after = std::time::Duration::from_mins(1);
            let detail = "too many live connections from one network; close some";
            Error::new(Kind::TooManyRequests { retry_after }, detail)
        }
        Full::Total => Error::unavailable("too many live connections; retry later"),
    })?;
    Ok(upgrade
        .max_message_size(MESSAGE_LIMIT)
        .max_frame_size(MESSAGE_LIMIT)
        .max_write_buffer_size(WRITE_LIMIT)
        // It is allocated for each socket.
        .read_buffer_size(4 * 1024)
        .on_upgrade(move |socket| {
            let talks = app.background_tasks.clone();
            talks.track_future(socket::talk(socket, app, query.since, share))
        }))
}

/// A client of another version must learn which one is served (RFC 6455, section 4.2.2).
fn refuse_handshake(rejection: &WebSocketUpgradeRejection) -> Response {
    let text = rejection.body_text();
    let detail = format!("this is for WebSocket clients: {text}");
    let mut response = Error::new(Kind::InvalidHeader, detail).into_response();
    if matches!(
        rejection,
        WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_)
    ) {
        let version = HeaderValue::from_static("13");
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_VERSION, version);
    }
    response
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
    let own = origin_of(&app.public_url).unwrap_or_default();
    // On one's own machine the shop has more than one name, and `0.0.0.0` is no name at all.
    let local = ["//127.0.0.1", "//0.0.0.0", "//[::1]", "//[::]"]
        .iter()
        .find(|name| own.contains(**name))
        .map(|name| own.replacen(name, "//localhost", 1));
    let is_local = |origin: &str| {
        let origin = origin.replacen("//127.0.0.1", "//localhost", 1);
        local.as_ref() == Some(&origin)
    };
    own == origin || is_local(&origin) || app.config.cors_origins.contains(&origin)
}
