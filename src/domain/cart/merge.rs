//! Moves the lines of a guest's cart to the cart of an account, once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CartOwner, CartToken, Line,
    guest::{not_found, unexpired_since},
    limits::MAX_LINES,
    prefetched_lines::prefetch_lines,
    store, total,
};
use crate::{
    core::{
        error::Result,
        id::{UserId, VariantId},
        money::Quantity,
    },
    infra::db::Tx,
};

/// What happens to the lines of the account's cart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MergeStrategy {
    /// The quantities of both carts are added.
    #[default]
    Sum,
    /// The account's cart is emptied first.
    Replace,
}

/// What became of a line of the guest's cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MergeOutcome {
    /// The account's cart did not have the variant.
    Added,
    /// The quantities were added.
    Summed,
    /// The quantity is less than the sum; `reason` says why.
    Capped,
    /// The account's cart did not get it; `reason` says why.
    Dropped,
}

/// A line of the guest's cart after the merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MergedLine {
    pub variant_id: VariantId,
    /// The quantity in the account's cart.
    pub quantity: i64,
    pub outcome: MergeOutcome,
    /// `insufficient-stock`, `too-many-units`, `too-many-lines`, `total-out-of-range` or `unavailable`.
    #[schema(required, pattern = "^[a-z]+(-[a-z]+)*$")]
    pub reason: Option<&'static str>,
}

/// Merges the cart of a guest into that of an account, whose row is locked. Returns the outcome of each line; none if the
/// cart was merged before.
///
/// Errors: `not-found` if the token is unknown or expired.
pub fn merge(
    tx: &mut Tx<'_>,
    user: UserId,
    token: &CartToken,
    strategy: MergeStrategy,
) -> Result<Vec<MergedLine>> {
    merge_if_found(tx, user, token, strategy)?.ok_or_else(not_found)
}

/// Like [`merge`]. Returns `None` if the token is unknown or expired.
pub fn merge_if_found(
    tx: &mut Tx<'_>,
    user: UserId,
    token: &CartToken,
    strategy: MergeStrategy,
) -> Result<Option<Vec<MergedLine>>> {
    let since = unexpired_since(tx);
    let Some(guest) = store::lock_guest_cart(tx, &token.hash(), since)? else {
        return Ok(None);
    };
    if guest.merged_into.is_some() {
        return Ok(Some(Vec::new()));
    }
    let owner = CartOwner::Account(user);
    if strategy == MergeStrategy::Replace {
        store::clear(tx, owner.cart())?;
    }
    let from = CartOwner::Guest(guest.id);
    let available = prefetch_lines(tx, from)?;
    let current = prefetch_lines(tx, owner)?;
    let all = store::variants_in(tx, guest.id)?;
    let mut available: BTreeMap<VariantId, Line> = available
        .result(tx)?
        .into_iter()
        .map(|line| (line.variant, line))
        .collect();
    let mut lines = current.result(tx)?;
    let mut merged = Vec::with_capacity(all.len());
    let mut changed = Vec::new();
    for variant in all {
        let Some(line) = available.remove(&variant) else {
            merged.push(dropped(variant, "unavailable"));
            continue;
        };
        let added_at = line.added_at;
        let outcome = merge_line(&mut lines, line)?;
        if let Ok(quantity) = Quantity::try_from(outcome.quantity) {
            changed.push((variant, quantity, added_at));
        }
        merged.push(outcome);
    }
    if !changed.is_empty() {
        store::insert_cart(tx, user)?;
        store::upsert_lines(tx, owner.cart(), &changed)?;
    }
    store::clear(tx, guest.id)?;
    store::set_merged(tx, guest.id, owner.cart())?;
    Ok(Some(merged))
}

/// Adds a line of the guest's cart to those of the account's.
fn merge_line(lines: &mut Vec<Line>, line: Line) -> Result<MergedLine> {
    let variant = line.variant;
    let at = lines.iter().position(|own| own.variant == variant);
    if at.is_none() && lines.len() >= MAX_LINES {
        return Ok(dropped(variant, "too-many-lines"));
    }
    let own = at.map_or(0, |at| lines[at].quantity.get());
    let sum = own + line.quantity.get();
    let (limit, reason) = if line.stock < Quantity::MAX {
        (line.stock, "insufficient-stock")
    } else {
        (Quantity::MAX, "too-many-units")
    };
    // The account's cart may have more than there is left.
    let quantity = sum.min(limit).max(own);
    let Ok(new) = Quantity::try_from(quantity) else {
        return Ok(dropped(variant, reason));
    };
    let index = at.unwrap_or(lines.len());
    let before = at.map(|at| std::mem::replace(&mut lines[at].quantity, new));
    if before.is_none() {
        lines.push(Line {
            quantity: new,
            ..line
        });
    }
    let (_, is_capped) = total(lines)?;
    if is_capped && quantity > own {
        match before {
            Some(before) => lines[index].quantity = before,
            None => lines.truncate(index),
        }
        let outcome = if own > 0 {
            MergeOutcome::Capped
        } else {
            MergeOutcome::Dropped
        };
        return Ok(MergedLine {
            variant_id: variant,
            quantity: own,
            outcome,
            reason: Some("total-out-of-range"),
        });
    }
    let outcome = match at {
        _ if quantity < sum => MergeOutcome::Capped,
        Some(_) => MergeOutcome::Summed,
        None => MergeOutcome::Added,
    };
    Ok(MergedLine {
        variant_id: variant,
        quantity,
        outcome,
        reason: (outcome == MergeOutcome::Capped).then_some(reason),
    })
}

fn dropped(variant_id: VariantId, reason: &'static str) -> MergedLine {
    MergedLine {
        variant_id,
        quantity: 0,
        outcome: MergeOutcome::Dropped,
        reason: Some(reason),
    }
}
