//! The endpoints of the live inventory: a WebSocket, an event stream, and pages.

mod changes;
mod events;
mod feed;
mod pace;
mod socket;

use std::{net::IpAddr, time::Duration};

use axum::{
    extract::{
        FromRequestParts, Request,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use self::socket::LiveRequest;
use super::message::LiveMessage;
use crate::{
    app::{App, Routes, State},
    core::error::{Error, Kind, Result},
    infra::{
        config::origin_of,
        web::{
            client::ClientAddress,
            client_quota::{QuotaExceeded, Reservation},
            extract::Query,
        },
    },
};

/// Maximum size of a subscriber's message, in bytes.
const MAX_MESSAGE_SIZE: usize = 64 * 1024;

/// Maximum amount of data that is buffered for one subscriber, in bytes.
const MAX_WRITE_BUFFER_SIZE: usize = 256 * 1024;

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(follow_inventory))
        .routes(routes!(events::stream_inventory))
        .routes(routes!(changes::list_inventory_changes))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowInventoryQuery {
    /// Replay the events after this sequence number.
    since: Option<i64>,
}

/// The messages of a connection, in both directions.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "the response of a WebSocket's route has one schema"
)]
enum LiveMessages {
    Server(LiveMessage),
    Client(LiveRequest),
}

/// Follow the live inventory by WebSocket
///
/// A WebSocket handshake (RFC 6455). The first message is HELLO or, if the updates after `since` are not available,
/// RESYNC. Then every committed change of stock follows, in commit order. To miss nothing, load products first and
/// connect with `since` set to their `X-Inventory-Seq`; to resume, set it to the `seq` of the last message.
///
/// To try it, paste this into the developer console of a page of the shop, such as the API reference:
///
/// ```js
/// let seq; // X-Inventory-Seq of the products on the page
/// function connect() {
///   const url = new URL("api/v1/ws", location.href);
///   url.protocol = url.protocol.replace("http", "ws");
///   if (seq !== undefined) url.searchParams.set("since", seq);
///   const socket = new WebSocket(url);
///   socket.onmessage = ({ data }) => {
///     const message = JSON.parse(data);
///     seq = message.seq ?? seq;
///     if (message.type === "RESYNC") console.log("load the products again");
///     if (message.type === "INVENTORY_UPDATE") console.table(message.products);
///   };
///   socket.onclose = () => setTimeout(connect, 1000);
/// }
/// connect();
/// ```
#[utoipa::path(get, path = "/ws", tag = "live", params(FollowInventoryQuery),
    responses(
        (status = 101, description = "The WebSocket is open. Each text frame is one of these messages",
            body = LiveMessages),
        (status = 403, description = "`forbidden`: a page of a foreign origin"),
    ))]
pub(crate) async fn follow_inventory(
    axum::extract::State(app): State,
    Query(query): Query<FollowInventoryQuery>,
    ClientAddress(client): ClientAddress,
    request: Request,
) -> Result<Response> {
    check_origin(&app, request.headers())?;
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(handshake_error(&rejection)),
    };
    let slot = reserve(&app, client)?;
    Ok(upgrade
        .max_message_size(MAX_MESSAGE_SIZE)
        .max_frame_size(MAX_MESSAGE_SIZE)
        .max_write_buffer_size(MAX_WRITE_BUFFER_SIZE)
        // Allocated per socket. Clients send little.
        .read_buffer_size(512)
        .on_upgrade(move |socket| {
            let tasks = app.background_tasks.clone();
            tasks.track_future(socket::serve(socket, app, query.since, slot))
        }))
}

/// Counts a live connection of a client.
///
/// Errors: `too-many-requests`, `unavailable`.
fn reserve(app: &App, client: IpAddr) -> Result<Reservation> {
    app.sockets.try_acquire(client).map_err(|full| match full {
        QuotaExceeded::Network => {
            let retry_after = Duration::from_mins(1);
            let detail = "too many live connections from your network; close some";
            Error::new(Kind::TooManyRequests { retry_after }, detail)
        }
        QuotaExceeded::Total => Error::unavailable("too many live connections; retry later"),
    })
}

/// Returns the response to an invalid handshake, with the supported version if the client's is another (RFC
/// 6455, section 4.2.2).
fn handshake_error(rejection: &WebSocketUpgradeRejection) -> Response {
    let text = rejection.body_text();
    let detail = format!("expected a WebSocket handshake: {text}");
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

/// Checks the `Origin`. Browsers always send it; other clients need not.
///
/// Errors: `forbidden` unless it is that of the shop or an allowed CORS origin.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<()> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    if app.allows_page(origin) {
        return Ok(());
    }
    let remedy = origin_of(origin)
        .map(|origin| format!("; add `{origin}` to `SHOP_CORS_ORIGINS`"))
        .unwrap_or_default();
    let detail = format!("pages of this origin are not allowed to connect{remedy}");
    Err(Error::new(Kind::Forbidden, detail))
}
