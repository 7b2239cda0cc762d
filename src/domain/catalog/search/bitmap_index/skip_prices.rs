//! Finds out where in the order of prices the first match is.

use std::ops::RangeInclusive;

use super::{
    product_set::ProductSet,
    query::any_has_term,
    terms::{first_digits, price_term},
};
use crate::{
    core::{error::Result, money::Price},
    infra::db::Tx,
};

/// Returns the part of a range of prices that a scan in the order of the prices has to visit: without those before the
/// first match, to three significant digits.
pub(super) fn skip_prices(
    tx: &mut Tx<'_>,
    matches: &ProductSet,
    prices: RangeInclusive<i64>,
    is_descending: bool,
) -> Result<RangeInclusive<i64>> {
    // Each has the prices from the first number on, as many as the second.
    let mut candidates: Vec<(i64, i64)> = (0..=Price::MAX.ilog10())
        .map(|zeros| 10_i64.pow(zeros))
        .flat_map(|size| (1..10).map(move |digit| (digit * size, size)))
        .collect();
    let (mut first, mut last) = prices.into_inner();
    for _ in 0..3 {
        if is_descending {
            candidates.reverse();
        }
        let mut found = None;
        for (start, size) in candidates {
            let is_in_range = start <= last && start + size > first;
            let term = price_term(&start.to_string(), first_digits(start, size));
            if is_in_range && any_has_term(tx, matches, &term)? {
                found = Some((start, size));
                break;
            }
        }
        let Some((start, size)) = found else {
            break;
        };
        if is_descending {
            last = last.min(start + size - 1);
        } else {
            first = first.max(start);
        }
        candidates = (0..10)
            .filter(|_| size > 1)
            .map(|digit| (start + digit * size / 10, size / 10))
            .collect();
    }
    Ok(first..=last)
}
