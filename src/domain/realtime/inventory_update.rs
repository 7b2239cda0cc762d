//! Messages from committed events: filtered by a subscription, and merged for a subscriber that lags behind.

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::{
    clock::Timestamp,
    event::{Committed, Event, StockChange},
    id::ProductId,
};

/// The stock of products after a change.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InventoryUpdate {
    /// The sequence number of the last event that is complete with this message.
    pub seq: i64,
    /// The sequence number of the first event of this message, if it merges several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    pub merged_from: Option<i64>,
    pub at: Timestamp,
    pub products: Vec<StockChange>,
}

/// A subscriber that lags behind by more events than this receives merged updates.
const MERGE_THRESHOLD: usize = 64;

/// Returns the messages for a subscriber about `events`, built lazily. `subscription` selects products;
/// `None` selects all.
pub(super) fn updates<'a>(
    events: &'a [Arc<Committed>],
    subscription: Option<&'a HashSet<ProductId>>,
) -> Box<dyn Iterator<Item = InventoryUpdate> + Send + 'a> {
    if events.len() > MERGE_THRESHOLD {
        return Box::new(merged(events, subscription));
    }
    let all = events.iter().map(move |event| {
        update(
            event.seq,
            None,
            event.at,
            select(&event.changes, subscription),
        )
    });
    Box::new(all.filter(move |update| subscription.is_none() || !update.products.is_empty()))
}

/// Merges events: keeps the last change of each product, in commit order, in messages of limited size.
fn merged<'a>(
    events: &'a [Arc<Committed>],
    subscription: Option<&HashSet<ProductId>>,
) -> impl Iterator<Item = InventoryUpdate> + Send + use<'a> {
    let mut seen = HashSet::new();
    let mut last_changes: Vec<(&Committed, &StockChange)> = Vec::new();
    for event in events.iter().rev() {
        for change in event.changes.iter().rev() {
            if subscription.is_none_or(|products| products.contains(&change.id))
                && seen.insert(change.id)
            {
                last_changes.push((event, change));
            }
        }
    }
    last_changes.reverse();
    let mut from = events.first().map_or(0, |event| event.seq);
    let mut start = 0;
    std::iter::from_fn(move || {
        let remaining = &last_changes[start..];
        let batch = &remaining[..remaining.len().min(Event::MAX_PRODUCTS)];
        let (event, _) = batch.last()?;
        start += batch.len();
        let (seq, at) = match remaining.get(batch.len()) {
            // The next message contains the rest of this event.
            Some((next, _)) if next.seq == event.seq => (event.seq - 1, event.at),
            Some(_) => (event.seq, event.at),
            // The last message ends at the last event, so that the subscriber's position is current.
            None => events.last().map(|last| (last.seq, last.at))?,
        };
        let products = batch.iter().map(|(_, change)| (*change).clone()).collect();
        let message = update(seq, Some(from.min(seq)), at, products);
        from = seq + 1;
        Some(message)
    })
}

fn select(changes: &[StockChange], subscription: Option<&HashSet<ProductId>>) -> Vec<StockChange> {
    let is_selected =
        |change: &&StockChange| subscription.is_none_or(|products| products.contains(&change.id));
    changes.iter().filter(is_selected).cloned().collect()
}

fn update(
    seq: i64,
    merged_from: Option<i64>,
    at: Timestamp,
    products: Vec<StockChange>,
) -> InventoryUpdate {
    InventoryUpdate {
        seq,
        merged_from,
        at,
        products,
    }
}
