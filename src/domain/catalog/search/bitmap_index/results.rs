//! Reads the matches of a search in a sort order.
//!
//! The index of the sort order is scanned for the matches until the page is full, without reading products: a page of
//! many matches needs few entries. If it takes too long, all matches are sorted instead: they may all be at the end.

use super::{
    product_set::{ProductSet, json_array},
    query::{BitmapQuery, Found},
    skip_prices::skip_prices,
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        pagination::{COUNTED_UP_TO, CursorRequest, PageRequest, Position},
    },
    domain::catalog::{
        category::Category,
        filters::{Filters, Sort},
        search::{query::SearchQuery, search_index::SearchMatches},
        store::{
            Columns, CursorRows, ORDER_OF_NUMBERS, OnRow, ProductQuery, cursor_rows, numbers_after,
            use_sold_out_index,
        },
    },
    infra::db::Tx,
};

/// The time to read and sort a product, in index entries that can be scanned and checked meanwhile.
const ENTRIES_PER_PRODUCT: i64 = 7;

/// How many entries of the index of prices are scanned before looking up where the first match is.
const MAX_WITHOUT_SKIPPING: i64 = 1000;

/// Up to this many matches are all read to rank them.
const MAX_RANKED: i64 = 100;

/// The order of matches with the same relevance class.
const SORT_IN_CLASS: Sort = Sort::Name;

pub(super) struct BitmapResults<'a> {
    search: &'a SearchQuery,
    filters: &'a Filters,
    category: Option<&'a Category>,
    query: BitmapQuery<'a>,
    found: Found,
}

/// Some rows of a result in its sort order: `limit` rows after a position or an offset.
#[derive(Clone, Copy)]
struct Window<'a> {
    after: Option<&'a Position>,
    offset: i64,
    limit: i64,
}

impl<'a> BitmapResults<'a> {
    pub(super) fn find(
        tx: &mut Tx<'_>,
        search: &'a SearchQuery,
        filters: &'a Filters,
        category: Option<&'a Category>,
    ) -> Result<BitmapResults<'a>> {
        let query = BitmapQuery::new(&search.clauses).with_filters(filters, category);
        let found = query.find(tx, COUNTED_UP_TO + 1)?;
        Ok(BitmapResults {
            search,
            filters,
            category,
            query,
            found,
        })
    }

    /// Returns whether all matches are found yet.
    fn is_complete(&self) -> bool {
        self.found.count <= COUNTED_UP_TO
    }

    fn find_all(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        if !self.is_complete() {
            self.query.find_more(tx, &mut self.found, i64::MAX)?;
        }
        Ok(())
    }

    /// Returns the product numbers of the matches in a window, in the sort order of the filters.
    fn numbers(&mut self, tx: &mut Tx<'_>, window: Window<'_>) -> Result<Vec<i64>> {
        let sort = self.filters.sort;
        if sort == Sort::Relevance {
            return self.by_relevance(tx, window.offset, window.limit);
        }
        self.find_all(tx)?;
        let max_scanned = if self.found.count > COUNTED_UP_TO {
            i64::MAX
        } else {
            self.found.count * ENTRIES_PER_PRODUCT
        };
        if sort.is_by_price() && window.after.is_none() && max_scanned > MAX_WITHOUT_SKIPPING {
            return self.by_price(tx, window, max_scanned);
        }
        self.in_order(tx, sort, &self.found.all, window, max_scanned)
    }

    /// Returns the product numbers in a window of a set of matches.
    fn in_order(
        &self,
        tx: &mut Tx<'_>,
        sort: Sort,
        matches: &ProductSet,
        window: Window<'_>,
        max_scanned: i64,
    ) -> Result<Vec<i64>> {
        let scan = in_sort_order(self.filters, self.category, sort);
        scan_or_sort(tx, sort, scan, matches, window, max_scanned)
    }

    /// Like [`BitmapResults::in_order`] with all matches, but skips the prices before that of the first match.
    fn by_price(&self, tx: &mut Tx<'_>, window: Window<'_>, max_scanned: i64) -> Result<Vec<i64>> {
        let Self {
            filters,
            category,
            found,
            ..
        } = self;
        let sort = filters.sort;
        let scan = in_sort_order(filters, *category, sort);
        let mut is_match = |number| found.all.contains(number);
        let first = in_window(tx, sort, scan, window, MAX_WITHOUT_SKIPPING, &mut is_match)?;
        if let Some(numbers) = first {
            return Ok(numbers);
        }
        let prices = filters.prices().unwrap_or(0..=i64::MAX);
        let prices = skip_prices(tx, &found.all, prices, sort.is_descending())?;
        let rest = Filters {
            min_price: Some(*prices.start()),
            max_price: Some(*prices.end()),
            ..(*filters).clone()
        };
        let scan = in_sort_order(&rest, *category, sort);
        scan_or_sort(tx, sort, scan, &found.all, window, max_scanned)
    }

    /// Returns the product numbers of some matches by relevance. One class follows the other.
    fn by_relevance(&mut self, tx: &mut Tx<'_>, offset: i64, limit: i64) -> Result<Vec<i64>> {
        let mut window = Window {
            after: None,
            offset,
            limit,
        };
        if self.found.count <= MAX_RANKED {
            return self.ranked(tx, window);
        }
        let (mut numbers, first_class) = self.names_that_start_with_text(tx, window)?;
        window.limit -= count(&numbers)?;
        if window.limit == 0 {
            return Ok(numbers);
        }
        window.offset = (offset - first_class.len()).max(0);
        self.find_all(tx)?;
        let (mut in_name, mut others) = (self.found.in_name.clone(), self.found.all.clone());
        others -= &in_name;
        in_name -= &first_class;
        for class in [in_name, others] {
            let size = class.len();
            if window.offset >= size {
                window.offset -= size;
                continue;
            }
            let found = self.in_order(
                tx,
                SORT_IN_CLASS,
                &class,
                window,
                size * ENTRIES_PER_PRODUCT,
            )?;
            window = Window {
                offset: 0,
                limit: window.limit - count(&found)?,
                ..window
            };
            numbers.extend(found);
            if window.limit == 0 {
                break;
            }
        }
        Ok(numbers)
    }

    /// Returns the product numbers in a window of the matches whose names start with the search text, and all of them
    /// up to there.
    fn names_that_start_with_text(
        &self,
        tx: &mut Tx<'_>,
        window: Window<'_>,
    ) -> Result<(Vec<i64>, ProductSet)> {
        let mut filters = self.filters.clone();
        let mut max_scanned = i64::MAX;
        let is_complete = self.is_complete();
        if is_complete {
            // The matches have these prices, and the scan may give up early.
            (filters.min_price, filters.max_price) = (None, None);
            max_scanned = self.found.count * ENTRIES_PER_PRODUCT;
        }
        let mut visited = Vec::new();
        let mut is_match = |number| {
            let is_match = !is_complete || self.found.all.contains(number);
            if is_match {
                visited.push(number);
            }
            is_match
        };
        let scan = self.with_names(in_sort_order(&filters, self.category, SORT_IN_CLASS));
        let found = in_window(tx, SORT_IN_CLASS, scan, window, max_scanned, &mut is_match)?;
        if let Some(numbers) = found {
            return Ok((numbers, ProductSet::new(&visited)?));
        }
        let matches = self.found.all.to_json();
        let sorted = self.with_names(ProductQuery::with_numbers(&matches));
        visited.clear();
        numbers_after(tx, SORT_IN_CLASS, sorted, None, &mut |number| {
            visited.push(number);
            true
        })?;
        Ok((slice(&visited, window), ProductSet::new(&visited)?))
    }

    /// Adds the condition that the name starts with the search text.
    fn with_names<'q>(&'q self, mut query: ProductQuery<'q>) -> ProductQuery<'q> {
        query.compare("p.name_key >=", &self.search.normalized);
        query.compare("p.name_key <", &self.search.upper_bound);
        query
    }

    /// Returns the product numbers of some matches by relevance; reads all matches.
    fn ranked(&self, tx: &mut Tx<'_>, window: Window<'_>) -> Result<Vec<i64>> {
        let (all, in_name) = (self.found.all.to_json(), self.found.in_name.to_json());
        let mut query = ProductQuery::with_numbers(&all);
        let order = format!(
            "ORDER BY CASE WHEN p.name_key >= {} AND p.name_key < {} THEN 0
                 WHEN p.rowid IN (SELECT value FROM json_each({})) THEN 1 ELSE 2 END, p.name_key, p.id",
            query.value(&self.search.normalized),
            query.value(&self.search.upper_bound),
            query.value(&in_name),
        );
        let mut numbers = Vec::new();
        query.numbers(tx, &order, &mut |number| {
            numbers.push(number);
            true
        })?;
        Ok(slice(&numbers, window))
    }
}

impl SearchMatches for BitmapResults<'_> {
    fn total(&mut self, _: &mut Tx<'_>) -> Result<i64> {
        Ok(self.found.count.min(COUNTED_UP_TO + 1))
    }

    fn page(&mut self, tx: &mut Tx<'_>, page: PageRequest, on_row: OnRow<'_>) -> Result<()> {
        let window = Window {
            after: None,
            offset: page.offset(),
            limit: page.limit,
        };
        let numbers = json_array(self.numbers(tx, window)?);
        ProductQuery::with_numbers(&numbers)
            .rows(tx, ORDER_OF_NUMBERS, page.limit, 0, on_row)
            .map(drop)
    }

    fn rows_after(
        &mut self,
        tx: &mut Tx<'_>,
        cursor: &CursorRequest,
        on_row: OnRow<'_>,
    ) -> Result<CursorRows> {
        let window = Window {
            after: cursor.after.as_ref(),
            offset: 0,
            limit: cursor.read_limit(),
        };
        let numbers = json_array(self.numbers(tx, window)?);
        let query = ProductQuery::with_numbers(&numbers);
        cursor_rows(tx, self.filters.sort, query, None, cursor.limit, on_row)
    }

    fn most_relevant(&mut self, tx: &mut Tx<'_>, max: i64) -> Result<Vec<ProductId>> {
        let numbers = json_array(self.by_relevance(tx, 0, max)?);
        let mut query = ProductQuery::with_numbers(&numbers);
        query.set_columns(Columns::Id);
        let mut ids = Vec::new();
        query.rows(tx, ORDER_OF_NUMBERS, max, 0, &mut |row| {
            ids.push(row.get("id")?);
            Ok(())
        })?;
        Ok(ids)
    }
}

/// Returns the statement that scans the index of a sort order for all products that match the filters.
fn in_sort_order(
    filters: &Filters,
    category: Option<&Category>,
    sort: Sort,
) -> ProductQuery<'static> {
    let mut scan = if sort.is_by_price() {
        ProductQuery::from_filters(filters, category)
    } else {
        ProductQuery::in_sort_order(filters, category)
    };
    use_sold_out_index(&mut scan, filters, category, sort);
    scan
}

/// Returns the product numbers in a window of a set of matches: scans the rows of a statement, but if they are not
/// among the first `max_scanned`, sorts the matches instead.
fn scan_or_sort<'a>(
    tx: &mut Tx<'_>,
    sort: Sort,
    scan: ProductQuery<'a>,
    matches: &ProductSet,
    window: Window<'a>,
    max_scanned: i64,
) -> Result<Vec<i64>> {
    let mut is_match = |number| matches.contains(number);
    let found = in_window(tx, sort, scan, window, max_scanned, &mut is_match)?;
    if let Some(numbers) = found {
        return Ok(numbers);
    }
    let all = matches.to_json();
    let sorted = ProductQuery::with_numbers(&all);
    let found = in_window(tx, sort, sorted, window, i64::MAX, &mut |_| true)?;
    Ok(found.unwrap_or_default())
}

/// Returns the product numbers in a window of a statement's rows that match, or `None` if they are not among its
/// first `max_scanned` rows.
fn in_window<'a>(
    tx: &mut Tx<'_>,
    sort: Sort,
    statement: ProductQuery<'a>,
    window: Window<'a>,
    max_scanned: i64,
    is_match: &mut dyn FnMut(i64) -> bool,
) -> Result<Option<Vec<i64>>> {
    let (mut scanned, mut skipped, mut found) = (0, 0, Vec::new());
    let mut remaining = window.limit;
    numbers_after(tx, sort, statement, window.after, &mut |number| {
        scanned += 1;
        if is_match(number) {
            if skipped < window.offset {
                skipped += 1;
            } else {
                found.push(number);
                remaining -= 1;
            }
        }
        remaining > 0 && scanned < max_scanned
    })?;
    let is_complete = remaining == 0 || scanned < max_scanned;
    Ok(is_complete.then_some(found))
}

/// Returns those of the numbers that are in a window.
fn slice(numbers: &[i64], window: Window<'_>) -> Vec<i64> {
    let in_window = (0..)
        .zip(numbers)
        .filter(|(at, _): &(i64, _)| (window.offset..window.offset + window.limit).contains(at));
    in_window.map(|(_, number)| *number).collect()
}

fn count(numbers: &[i64]) -> Result<i64> {
    i64::try_from(numbers.len()).map_err(Error::internal)
}
