//! The live inventory in pages.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::feed::positions;
use crate::{
    app::State,
    core::{
        error::{Error, Result},
        event::EventRange,
        pagination::PageLimit,
    },
    domain::realtime::{batch::Batch, message::LiveMessage},
    infra::web::{
        extract::Query,
        respond::{self, SerializedRows},
    },
};

const DEFAULT_LIMIT: i64 = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// The position after which the changes begin: the last `nextAfter`, or the `X-Inventory-Seq` of products. Without
    /// it, the page is empty and `nextAfter` is the current position.
    after: Option<i64>,
    /// The maximum number of messages; defaults to 100. A page has fewer if they are about many products.
    #[param(inline)]
    limit: Option<PageLimit>,
}

/// A page of the live inventory.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InventoryChanges {
    /// `INVENTORY_UPDATE` messages in commit order, or one RESYNC.
    #[schema(value_type = Vec<LiveMessage>)]
    data: [(); 0],
    /// The position after this page, for `after`. It is the same again if there is nothing new.
    next_after: i64,
}

/// Read the live inventory in pages
///
/// The messages about changes of stock after a position, in commit order, each with one `seq`. For clients that poll:
/// read the next page at once while `data` is not empty, and after a pause if it is. If the changes are not available
/// any more, `data` has one RESYNC message: read the products again, and continue from `nextAfter`.
#[utoipa::path(get, path = "/inventory/changes", tag = "live", params(ChangesQuery),
    responses((status = 200, body = InventoryChanges)))]
pub(crate) async fn list_inventory_changes(
    axum::extract::State(app): State,
    Query(query): Query<ChangesQuery>,
) -> Result<Response> {
    let limit = query.limit.map_or(DEFAULT_LIMIT, PageLimit::get);
    let limit = usize::try_from(limit).map_err(Error::internal)?;
    let available = positions(&app).await?;
    let head = *available.end();
    // The head was read from the database, and may not be published yet.
    let mut published = app.bus.watch();
    let reached = published.wait_for(|published| *published >= head).await;
    reached.map_err(|_| Error::unavailable("the server is stopping"))?;

    let after = query.after.unwrap_or(head);
    let mut range = EventRange::default();
    let mut is_available = available.contains(&after);
    if is_available {
        range = EventRange::new(app.bus.after(&app.db, after).await?);
        // Old events may have been deleted meanwhile.
        is_available = range.events.is_empty() || range.starts_after(after);
    }
    let messages = if is_available {
        range.events.truncate(limit);
        Batch::per_event(Arc::new(range), None)
    } else {
        Batch::message(LiveMessage::resync(head)?)
    };
    let mut rows = SerializedRows::new();
    let mut next_after = after;
    for message in messages {
        let message = message?;
        rows.push_json(&message.json);
        next_after = message.seq;
    }
    let data = [];
    let page = rows.into_page(&InventoryChanges { data, next_after })?;
    Ok(respond::json_bytes(StatusCode::OK, page))
}
