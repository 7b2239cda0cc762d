//! From committed events to messages: narrowed to what a listener wants, merged where it lags.

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    event::{Committed, Event, StockChange},
    id::ProductId,
};

/// One message about changed stock.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// Always `INVENTORY_UPDATE`.
    #[serde(rename = "type")]
    #[schema(example = "INVENTORY_UPDATE")]
    pub kind: &'static str,
    pub seq: i64,
    /// The first event that this message stands for, where it stands for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    pub merged_from: Option<i64>,
    pub at: Timestamp,
    pub products: Vec<StockChange>,
}

/// A listener that is further behind than this gets merged updates.
const PATIENCE: usize = 64;

/// The messages for a listener at whom `events` arrive; `wanted` narrows them, if it is there.
pub(super) fn updates(
    events: &[Arc<Committed>],
    wanted: Option<&HashSet<ProductId>>,
) -> Vec<Update> {
    if events.len() > PATIENCE {
        return merged(events, wanted);
    }
    events
        .iter()
        .map(|event| update(event.seq, None, event.at, pick(&event.changes, wanted)))
        .filter(|update| wanted.is_none() || !update.products.is_empty())
        .collect()
}

/// The last word on each product, in the order in which the last words were spoken.
fn merged(events: &[Arc<Committed>], wanted: Option<&HashSet<ProductId>>) -> Vec<Update> {
    let Some(first) = events.first().map(|event| event.seq) else {
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let mut last_words = Vec::new();
    for event in events.iter().rev() {
        for change in pick(&event.changes, wanted).into_iter().rev() {
            if seen.insert(change.id) {
                last_words.push((event.seq, event.at, change));
            }
        }
    }
    last_words.reverse();
    let mut from = first;
    let mut messages: Vec<Update> = Vec::new();
    let mut parts = last_words.chunks(Event::MOST_PRODUCTS).peekable();
    while let Some(part) = parts.next() {
        let Some((last, at, _)) = part.last() else {
            continue;
        };
        // An event that the next message goes on with is not told whole yet.
        let goes_on = parts.peek().is_some_and(|next| next[0].0 == *last);
        let seq = &(last - i64::from(goes_on));
        let products = part.iter().map(|(_, _, change)| change.clone()).collect();
        messages.push(update(*seq, Some(from.min(*seq)), *at, products));
        from = seq + 1;
    }
    // The last message reaches up to the last event, so that the position is the newest.
    if let (Some(message), Some(event)) = (messages.last_mut(), events.last()) {
        message.seq = event.seq;
        message.at = event.at;
    }
    messages
}

fn pick(changes: &[StockChange], wanted: Option<&HashSet<ProductId>>) -> Vec<StockChange> {
    let is_wanted = |change: &&StockChange| wanted.is_none_or(|wanted| wanted.contains(&change.id));
    changes.iter().filter(is_wanted).cloned().collect()
}

fn update(seq: i64, merged_from: Option<i64>, at: Timestamp, products: Vec<StockChange>) -> Update {
    Update {
        kind: "INVENTORY_UPDATE",
        seq,
        merged_from,
        at,
        products,
    }
}
