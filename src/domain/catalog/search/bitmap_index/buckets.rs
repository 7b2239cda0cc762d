//! Finds the products of a page without reading their sort keys: the index also groups products into *buckets*, by the
//! first letters of the name and by the first digits of the price.

use std::ops::RangeInclusive;

use super::{
    product_set::ProductSet,
    terms::{self, TermRange},
};
use crate::{
    core::{
        error::{Error, Result},
        pagination::{Position, SortKey},
    },
    domain::catalog::{criteria::Criteria, filters::Sort},
    infra::db::{Tx, params},
};

/// Some rows of a result in its sort order: `limit` rows after a position or an offset.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) after: Option<&'a Position>,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

/// The buckets with the rows of a window.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) products: ProductSet,
    /// How many matches the buckets before them have.
    pub(super) skipped: i64,
    /// The term of the first of them.
    first: String,
}

impl Buckets {
    /// Returns the buckets with the rows of a window, or `None` if products have no buckets for this sort order.
    pub(super) fn of_window(
        tx: &mut Tx<'_>,
        matches: &ProductSet,
        criteria: &Criteria,
        sort: Sort,
        window: Window<'_>,
    ) -> Result<Option<Buckets>> {
        let mut ranges = match sort {
            Sort::Name | Sort::NameDown | Sort::Relevance => vec![terms::name_buckets()],
            Sort::Price | Sort::PriceDown => terms::price_buckets(criteria.prices.as_ref()),
            Sort::CreatedAt | Sort::CreatedAtDown | Sort::Position => return Ok(None),
        };
        if sort.is_descending() {
            ranges.reverse();
        }
        let after = window.after.map(|position| match &position.key {
            SortKey::Number(price) => terms::price_bucket(*price),
            SortKey::Text(name) => terms::name_bucket(name),
        });
        let mut found = Buckets::default();
        let mut missing = window.offset + window.limit;
        for range in ranges {
            let range = match &after {
                Some(after) => start_at(range, after, sort.is_descending()),
                None => range,
            };
            each_bucket(
                tx,
                matches,
                &range,
                sort.is_descending(),
                |term, products| {
                    let size = products.len();
                    if found.products.is_empty() && found.skipped + size <= window.offset {
                        found.skipped += size;
                        missing -= size;
                        return true;
                    }
                    if found.products.is_empty() {
                        term.clone_into(&mut found.first);
                    }
                    found.products |= products;
                    // The rows of the bucket of a position may come before it.
                    if after.as_deref() != Some(term) {
                        missing -= size;
                    }
                    missing > 0
                },
            )?;
            if missing <= 0 {
                break;
            }
        }
        Ok(Some(found))
    }

    /// Returns the part of a range of prices that starts with these buckets, in the order of the prices.
    pub(super) fn prices_from(
        &self,
        prices: Option<&RangeInclusive<i64>>,
        is_descending: bool,
    ) -> RangeInclusive<i64> {
        let (first, last) = prices.map_or((0, i64::MAX), |prices| (*prices.start(), *prices.end()));
        let bucket = terms::prices_in_bucket(&self.first);
        if is_descending {
            first..=last.min(*bucket.end())
        } else {
            first.max(*bucket.start())..=last
        }
    }

    /// Returns the half-open range of names in the first of these buckets.
    pub(super) fn first_names(&self) -> (String, String) {
        terms::names_in_bucket(&self.first)
    }
}

/// Returns the part of a range of terms that starts with a term, in this order.
fn start_at((from, to): TermRange, term: &str, is_descending: bool) -> TermRange {
    let (first, after) = terms::one(term);
    if is_descending {
        (from, to.min(after))
    } else {
        (from.max(first), to)
    }
}

/// Calls `each` with those of the matches that have a term, for each term in a range, until it returns `false`.
fn each_bucket(
    tx: &mut Tx<'_>,
    matches: &ProductSet,
    (from, to): &TermRange,
    is_descending: bool,
    mut each: impl FnMut(&str, &ProductSet) -> bool,
) -> Result<()> {
    let direction = if is_descending { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT word, block, products FROM postings WHERE word >= ?1 AND word < ?2
         ORDER BY word {direction}, block {direction}"
    );
    let (mut term, mut products) = (String::new(), ProductSet::default());
    let mut is_wanted = true;
    tx.each_while(&sql, params![from, to], |row| {
        let next: &str = row.get("word")?;
        if next != term {
            is_wanted = products.is_empty() || each(&term, &products);
            next.clone_into(&mut term);
            products.clear();
        }
        let block: i64 = row.get("block")?;
        let block = usize::try_from(block).map_err(Error::internal)?;
        products.insert_block(block, matches.intersection(block, row.get("products")?)?);
        Ok(is_wanted)
    })?;
    if is_wanted && !products.is_empty() {
        each(&term, &products);
    }
    Ok(())
}
