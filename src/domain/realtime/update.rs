//! From committed events to messages: narrowed to what a listener wants, merged where it lags.

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::{
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

/// The messages for a listener about `events`, each made when it is asked for; `wanted` narrows them.
pub(super) fn updates<'a>(
    events: &'a [Arc<Committed>],
    wanted: Option<&'a HashSet<ProductId>>,
) -> Box<dyn Iterator<Item = Update> + Send + 'a> {
    if events.len() > PATIENCE {
        return Box::new(merged(events, wanted));
    }
    let all = events
        .iter()
        .map(move |event| update(event.seq, None, event.at, pick(&event.changes, wanted)));
    Box::new(all.filter(move |update| wanted.is_none() || !update.products.is_empty()))
}

/// The last change of each product, in the order of these changes.
fn merged<'a>(
    events: &'a [Arc<Committed>],
    wanted: Option<&HashSet<ProductId>>,
) -> impl Iterator<Item = Update> + Send + use<'a> {
    let mut seen = HashSet::new();
    let mut last_changes: Vec<(&Committed, &StockChange)> = Vec::new();
    for event in events.iter().rev() {
        for change in event.changes.iter().rev() {
            if wanted.is_none_or(|wanted| wanted.contains(&change.id)) && seen.insert(change.id) {
                last_changes.push((event, change));
            }
        }
    }
    last_changes.reverse();
    let mut from = events.first().map_or(0, |event| event.seq);
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &last_changes[start..];
        let part = &rest[..rest.len().min(Event::MOST_PRODUCTS)];
        let (event, _) = part.last()?;
        start += part.len();
        let (seq, at) = match rest.get(part.len()) {
            // The next message has the rest of this event.
            Some((next, _)) if next.seq == event.seq => (event.seq - 1, event.at),
            Some(_) => (event.seq, event.at),
            // The last message reaches up to the last event, so that the position is the newest.
            None => events.last().map(|last| (last.seq, last.at))?,
        };
        let products = part.iter().map(|(_, change)| (*change).clone()).collect();
        let message = update(seq, Some(from.min(seq)), at, products);
        from = seq + 1;
        Some(message)
    })
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
