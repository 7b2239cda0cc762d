//! Finds the products that match clauses and criteria, by combining bitmaps.

use std::{
    mem,
    ops::{Range, RangeInclusive},
};

use roaring::{MultiOps, RoaringBitmap};

use super::{
    BLOCK_SIZE,
    product_set::{ProductSet, parse},
    terms::{self, SOLD_OUT, TermRange},
};
use crate::{
    core::error::{Error, Result},
    domain::catalog::{
        criteria::Criteria,
        store::{number_of, numbers_of_collection},
    },
    infra::db::{Tx, params},
};

/// How many bitmaps of a block are united at a time, which is faster than one by one and limits the memory.
const UNION_SIZE: usize = 32;

/// A query on the bitmaps.
pub(super) struct BitmapQuery<'a> {
    /// For every clause, a product must have a word that starts with one of its prefixes.
    clauses: &'a [Vec<String>],
    criteria: Option<&'a Criteria>,
}

/// The result of a [`BitmapQuery`].
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many products match, up to the requested maximum.
    pub(super) count: i64,
    /// The highest product number in the catalog.
    pub(super) last_number: i64,
    /// The matches; not all if there are more than the requested maximum.
    pub(super) all: ProductSet,
    /// Those whose names match all clauses.
    pub(super) in_name: ProductSet,
}

impl<'a> BitmapQuery<'a> {
    pub(super) fn new(clauses: &'a [Vec<String>]) -> BitmapQuery<'a> {
        BitmapQuery {
            clauses,
            criteria: None,
        }
    }

    pub(super) fn with_criteria(self, criteria: &'a Criteria) -> BitmapQuery<'a> {
        BitmapQuery {
            criteria: Some(criteria),
            ..self
        }
    }

    /// Finds the matches until there are `max`.
    pub(super) fn find(&self, tx: &mut Tx<'_>, max: i64) -> Result<Found> {
        let mut found = Found::default();
        self.find_more(tx, &mut found, max)?;
        Ok(found)
    }

    /// Continues to find matches until there are `max`, in more and more blocks at a time.
    pub(super) fn find_more(&self, tx: &mut Tx<'_>, found: &mut Found, max: i64) -> Result<()> {
        let sql = "SELECT max(rowid) AS last FROM products";
        let last: Option<Option<i64>> = tx.one(sql, &[], |row| row.get("last"))?;
        found.last_number = last.flatten().unwrap_or_default();
        let end = found.last_number / i64::from(BLOCK_SIZE) + 1;
        let first = i64::try_from(found.all.0.len()).map_err(Error::internal)?;
        let mut blocks = first..(first * 2 + 1).min(end);
        found.count = found.all.len();
        let named = self.named_products(tx)?;
        while blocks.start < end && found.count < max {
            let (mut all, mut in_name) = self.with_words(tx, &blocks)?;
            self.filter(tx, &blocks, &named, &mut all)?;
            in_name &= &all;
            found.count += all.len();
            found.all.0.extend(all.0);
            found.in_name.0.extend(in_name.0);
            blocks = blocks.end..(blocks.end * 2 + 1).min(end);
        }
        found.count = found.count.min(max);
        Ok(())
    }

    /// Returns the products in some blocks that match all clauses, and those whose names do.
    fn with_words(&self, tx: &mut Tx<'_>, blocks: &Range<i64>) -> Result<(ProductSet, ProductSet)> {
        let mut matches: Option<(ProductSet, ProductSet)> = None;
        for clause in self.clauses {
            let [mut names, mut descriptions] = [Vec::new(), Vec::new()];
            for prefix in clause {
                let [in_name, in_description] = terms::with_prefix(prefix);
                names.push(in_name);
                descriptions.push(in_description);
            }
            let mut in_name = union(tx, blocks, &names)?;
            let mut all = union(tx, blocks, &descriptions)?;
            all |= &in_name;
            if let Some((all_before, in_name_before)) = &matches {
                all &= all_before;
                in_name &= in_name_before;
            }
            if all.is_empty() {
                return Ok((all, in_name));
            }
            matches = Some((all, in_name));
        }
        Ok(matches.unwrap_or_else(|| (empty(blocks), empty(blocks))))
    }

    /// Returns the product numbers that criteria name, one list for each: a product must be in all of them.
    fn named_products(&self, tx: &mut Tx<'_>) -> Result<Vec<Vec<i64>>> {
        let mut named = Vec::new();
        if let Some(product) = self.criteria.and_then(|criteria| criteria.product) {
            named.push(number_of(tx, product)?.into_iter().collect());
        }
        if let Some(collection) = self.criteria.and_then(|criteria| criteria.collection) {
            named.push(numbers_of_collection(tx, collection)?);
        }
        Ok(named)
    }

    /// Removes the products that do not match the criteria.
    fn filter(
        &self,
        tx: &mut Tx<'_>,
        blocks: &Range<i64>,
        named: &[Vec<i64>],
        products: &mut ProductSet,
    ) -> Result<()> {
        let Some(criteria) = self.criteria else {
            return Ok(());
        };
        for numbers in named {
            products.keep_only(numbers, blocks.start)?;
        }
        if let Some(category) = &criteria.category {
            let term = terms::category_term(category.id);
            *products &= &union(tx, blocks, &[terms::one(&term)])?;
        }
        if let Some(in_stock) = criteria.in_stock {
            let sold_out = union(tx, blocks, &[terms::one(SOLD_OUT)])?;
            if in_stock {
                *products -= &sold_out;
            } else {
                *products &= &sold_out;
            }
        }
        if let Some(prices) = &criteria.prices {
            *products = with_price(tx, blocks, prices, products)?;
        }
        Ok(())
    }
}

/// Returns the products in some blocks that have one of the terms.
fn union(tx: &mut Tx<'_>, blocks: &Range<i64>, terms: &[TermRange]) -> Result<ProductSet> {
    let mut bitmaps: Vec<Vec<RoaringBitmap>> = blocks.clone().map(|_| Vec::new()).collect();
    for range in terms {
        each_bitmap(tx, blocks, range, |at, bytes| {
            bitmaps[at].push(parse(bytes)?);
            if bitmaps[at].len() == UNION_SIZE {
                bitmaps[at] = vec![mem::take(&mut bitmaps[at]).union()];
            }
            Ok(())
        })?;
    }
    let bitmaps = bitmaps.into_iter().map(MultiOps::union);
    Ok(ProductSet(bitmaps.collect()))
}

/// Returns those of the products whose price is in the range.
fn with_price(
    tx: &mut Tx<'_>,
    blocks: &Range<i64>,
    prices: &RangeInclusive<i64>,
    products: &ProductSet,
) -> Result<ProductSet> {
    let mut in_range = empty(blocks);
    if products.is_empty() {
        return Ok(in_range);
    }
    for terms in terms::price_terms(prices) {
        each_bitmap(tx, blocks, &terms, |at, bytes| {
            in_range.0[at] |= products.intersection(at, bytes)?;
            Ok(())
        })?;
    }
    Ok(in_range)
}

/// Returns an empty bitmap for each block.
fn empty(blocks: &Range<i64>) -> ProductSet {
    ProductSet(blocks.clone().map(|_| RoaringBitmap::new()).collect())
}

/// Calls `each` with the bitmaps of the terms in a range: the index of the block in `blocks`, and the serialized
/// products.
fn each_bitmap(
    tx: &mut Tx<'_>,
    blocks: &Range<i64>,
    (from, to): &TermRange,
    mut each: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let sql = "SELECT block, products FROM postings
         WHERE word >= ?1 AND word < ?2 AND block >= ?3 AND block < ?4";
    let values = params![from, to, blocks.start, blocks.end];
    tx.each(sql, values, |row| {
        let block: i64 = row.get("block")?;
        let at = usize::try_from(block - blocks.start).map_err(Error::internal)?;
        each(at, row.get("products")?)
    })
}
