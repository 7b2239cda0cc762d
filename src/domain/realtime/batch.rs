//! Messages from committed events, shared by all subscribers at the same position, unless a subscription filters them. For
//! subscribers that lag behind, events are merged.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::message::{InventoryUpdate, LiveMessage};
use crate::core::{
    error::Result,
    event::{Committed, Event, EventRange, Positioned, StockChange, VariantStock},
    id::ProductId,
};

/// The products that a subscriber selected; `None` for all.
pub(super) type Subscription = Option<Arc<HashSet<ProductId>>>;

/// Consecutive messages for one subscriber, built one at a time.
pub(super) enum Batch {
    /// One message, until it is taken.
    Message(Option<Positioned>),
    /// Each event from the index on as one message.
    Events(Arc<EventRange>, usize, Subscription),
    /// The shared messages with the last change of each product, from the index on.
    Merged(Arc<EventRange>, usize),
    /// The last change of each selected product.
    LastChanges(LastChanges),
}

impl Batch {
    /// Returns one message.
    pub(super) fn message(message: Positioned) -> Batch {
        Batch::Message(Some(message))
    }

    /// Returns each event as one message.
    pub(super) fn per_event(range: Arc<EventRange>, subscription: Subscription) -> Batch {
        Batch::Events(range, 0, subscription)
    }

    /// Merges the events: keeps the last change of each product, in messages of limited size.
    pub(super) fn merged(
        range: Arc<EventRange>,
        subscription: Option<&HashSet<ProductId>>,
    ) -> Batch {
        if subscription.is_none() {
            return Batch::Merged(range, 0);
        }
        Batch::LastChanges(LastChanges::new(range, subscription))
    }
}

impl Iterator for Batch {
    type Item = Result<Positioned>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Batch::Message(message) => message.take().map(Ok),
            Batch::Events(range, next, subscription) => {
                range.events[*next..].iter().find_map(|event| {
                    *next += 1;
                    event_message(event, subscription.as_deref())
                })
            }
            Batch::Merged(range, next) => {
                let build = || LastChanges::new(Arc::clone(range), None).collect();
                let message = range
                    .merged(build)
                    .map(|messages| messages.get(*next).cloned());
                *next += 1;
                message.transpose()
            }
            Batch::LastChanges(changes) => changes.next(),
        }
    }
}

/// Returns the message about an event, or `None` if the subscription selects none of its products.
fn event_message(
    event: &Committed,
    subscription: Option<&HashSet<ProductId>>,
) -> Option<Result<Positioned>> {
    let json = if subscription.is_none() {
        event.message(|event| update(event, event.changes.clone()).to_json())
    } else {
        let selected = |change: &&StockChange| is_selected(subscription, change);
        let changes: Vec<_> = event.changes.iter().filter(selected).cloned().collect();
        if changes.is_empty() {
            return None;
        }
        update(event, changes).to_json()
    };
    let seq = event.seq;
    Some(json.map(|json| Positioned { seq, json }))
}

fn update(event: &Committed, products: Vec<StockChange>) -> LiveMessage {
    LiveMessage::InventoryUpdate(InventoryUpdate {
        seq: event.seq,
        merged_from: None,
        at: event.at,
        products,
    })
}

fn is_selected(subscription: Option<&HashSet<ProductId>>, change: &StockChange) -> bool {
    subscription.is_none_or(|products| products.contains(&change.id))
}

/// The messages that merge events.
pub(super) struct LastChanges {
    range: Arc<EventRange>,
    /// The last change of each product, in commit order: the indexes of its event and of the change in it.
    changes: Vec<(usize, usize)>,
    /// The variants that only earlier changes of the product have, with their last change.
    earlier_variants: HashMap<ProductId, Vec<VariantStock>>,
    /// The first one of the next message.
    next: usize,
    /// The sequence number after that of the last message.
    from: i64,
}

impl LastChanges {
    fn new(range: Arc<EventRange>, subscription: Option<&HashSet<ProductId>>) -> LastChanges {
        let events = &range.events;
        let mut seen = HashSet::new();
        let mut seen_variants = HashSet::new();
        let mut earlier_variants: HashMap<ProductId, Vec<VariantStock>> = HashMap::new();
        let mut changes = Vec::new();
        for (event_index, event) in events.iter().enumerate().rev() {
            for (index, change) in event.changes.iter().enumerate().rev() {
                if !is_selected(subscription, change) {
                    continue;
                }
                let is_last = seen.insert(change.id);
                if is_last {
                    changes.push((event_index, index));
                }
                for variant in &change.variants {
                    if seen_variants.insert(variant.id) && !is_last {
                        let variants = earlier_variants.entry(change.id).or_default();
                        variants.push(variant.clone());
                    }
                }
            }
        }
        changes.reverse();
        LastChanges {
            from: events.first().map_or(0, |event| event.seq),
            range,
            changes,
            earlier_variants,
            next: 0,
        }
    }

    /// Returns the number of changes for one message, which has at least one: up to [`Event::MAX_PRODUCTS`], where each
    /// variant counts, too.
    fn batch_size(&self, remaining: &[(usize, usize)]) -> usize {
        let mut size = 0;
        let fitting = remaining.iter().take_while(|(event, index)| {
            let change = &self.range.events[*event].changes[*index];
            let earlier = self.earlier_variants.get(&change.id);
            let variants = change.variants.len() + earlier.map_or(0, Vec::len);
            size += variants.max(1);
            size <= Event::MAX_PRODUCTS
        });
        fitting.count().max(1)
    }
}

impl Iterator for LastChanges {
    type Item = Result<Positioned>;

    fn next(&mut self) -> Option<Self::Item> {
        let events = &self.range.events;
        let remaining = &self.changes[self.next..];
        let batch = remaining.get(..self.batch_size(remaining))?;
        let event = &events[batch.last()?.0];
        self.next += batch.len();
        let (seq, at) = match remaining.get(batch.len()) {
            // The next message contains the rest of this event.
            Some((next, _)) if events[*next].seq == event.seq => (event.seq - 1, event.at),
            Some(_) => (event.seq, event.at),
            // The last message ends at the last event, so that the subscriber's position is current.
            None => events.last().map(|last| (last.seq, last.at))?,
        };
        let change = |(event, index): &(usize, usize)| {
            let mut change = events[*event].changes[*index].clone();
            if !change.deleted {
                let variants = self.earlier_variants.get(&change.id).into_iter();
                change.variants.extend(variants.flatten().cloned());
            }
            change
        };
        let message = LiveMessage::InventoryUpdate(InventoryUpdate {
            seq,
            merged_from: (self.from != seq).then_some(self.from.min(seq)),
            at,
            products: batch.iter().map(change).collect(),
        });
        self.from = seq + 1;
        Some(message.at(seq))
    }
}
