//! Reads the matches of a search in a sort order.
//!
//! The index of the sort order is scanned for the matches until the page is full, without reading products: a page of
//! many matches needs few entries. If there are few, the buckets with the page are found first (see [`Buckets`]), and their
//! products are sorted.

use super::{
    buckets::{Buckets, Window},
    product_set::{ProductSet, json_array},
    query::{BitmapQuery, Found},
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        pagination::{COUNTED_UP_TO, CursorRequest, PageRequest},
    },
    domain::catalog::{
        criteria::Criteria,
        filters::Sort,
        search::{query::SearchQuery, search_index::SearchMatches},
        store::{
            Columns, CursorRows, ORDER_OF_NUMBERS, OnRow, ProductQuery, cursor_rows, number_of,
            numbers_after, use_sold_out_index,
        },
    },
    infra::db::{Tx, Value},
};

/// The time to read and sort a product, in index entries that can be scanned and checked meanwhile.
const ENTRIES_PER_PRODUCT: i64 = 7;

/// How many entries of the index of names or prices are scanned before looking for the buckets with the page.
const MAX_SCANNED_FIRST: i64 = 1000;

/// Up to this many products in the buckets with the page are sorted without another scan.
const MAX_SORTED_FIRST: i64 = 200;

/// Up to this many matches are all read to rank them.
const MAX_RANKED: i64 = 100;

/// The order of matches with the same relevance class.
const SORT_IN_CLASS: Sort = Sort::Name;

pub(super) struct BitmapResults<'a> {
    search: &'a SearchQuery,
    criteria: &'a Criteria,
    query: BitmapQuery<'a>,
    found: Found,
}

/// A page by relevance to which one class after the other adds its products.
struct RelevancePage {
    numbers: Vec<i64>,
    /// Where the rest of the page starts in the next class.
    offset: i64,
    /// How many products are missing.
    limit: i64,
}

impl RelevancePage {
    fn window(&self) -> Window<'static> {
        Window {
            after: None,
            offset: self.offset,
            limit: self.limit,
        }
    }

    /// Adds what was found of a class with `size` products in total; fewer if the page is full.
    fn add(&mut self, size: i64, found: Vec<i64>) -> Result<()> {
        self.offset = if found.is_empty() {
            self.offset - size
        } else {
            0
        };
        self.limit -= i64::try_from(found.len()).map_err(Error::internal)?;
        self.numbers.extend(found);
        Ok(())
    }
}

impl<'a> BitmapResults<'a> {
    pub(super) fn find(
        tx: &mut Tx<'_>,
        search: &'a SearchQuery,
        criteria: &'a Criteria,
    ) -> Result<BitmapResults<'a>> {
        let query = BitmapQuery::new(&search.clauses).with_criteria(criteria);
        let found = query.find(tx, COUNTED_UP_TO + 1)?;
        Ok(BitmapResults {
            search,
            criteria,
            query,
            found,
        })
    }

    /// Returns whether all matches have been found.
    fn is_complete(&self) -> bool {
        self.found.count <= COUNTED_UP_TO
    }

    fn find_all(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        if !self.is_complete() {
            self.query.find_more(tx, &mut self.found, i64::MAX)?;
        }
        Ok(())
    }

    /// Returns the product numbers of the matches in a window, in the sort order of the criteria.
    fn numbers(&mut self, tx: &mut Tx<'_>, window: Window<'_>) -> Result<Vec<i64>> {
        let sort = self.criteria.sort;
        if sort == Sort::Relevance {
            return self.by_relevance(tx, window.offset, window.limit);
        }
        self.find_all(tx)?;
        if window.offset >= self.found.all.len() {
            return Ok(Vec::new());
        }
        self.in_order(tx, sort, &self.found.all, window)
    }

    /// Returns the product numbers in a window of some of the matches.
    fn in_order(
        &self,
        tx: &mut Tx<'_>,
        sort: Sort,
        matches: &ProductSet,
        window: Window<'_>,
    ) -> Result<Vec<i64>> {
        let mut is_match = |number| matches.contains(number);
        let mut max_scanned = matches.len() * ENTRIES_PER_PRODUCT;
        if !sort.is_by_time() {
            max_scanned = max_scanned.min(MAX_SCANNED_FIRST);
        }
        if self.expected_entries(matches, window) < 2 * max_scanned {
            let scan = in_sort_order(self.criteria, sort);
            let found = in_window(tx, sort, scan, window, max_scanned, &mut is_match)?;
            if let Some(numbers) = found {
                return Ok(numbers);
            }
        }
        let Some(buckets) = Buckets::of_window(tx, matches, self.criteria, sort, window)? else {
            return sorted(tx, sort, matches, window);
        };
        let window = Window {
            offset: window.offset - buckets.skipped,
            ..window
        };
        let size = buckets.products.len();
        if size > MAX_SORTED_FIRST {
            let names = buckets.first_names();
            let scan = self.scan_from(&buckets, &names, sort);
            let max_scanned = size * ENTRIES_PER_PRODUCT;
            let found = in_window(tx, sort, scan, window, max_scanned, &mut is_match)?;
            if let Some(numbers) = found {
                return Ok(numbers);
            }
        }
        sorted(tx, sort, &buckets.products, window)
    }

    /// Returns how many entries of the index of the sort order a scan for a window visits if the matches are spread
    /// evenly.
    fn expected_entries(&self, matches: &ProductSet, window: Window<'_>) -> i64 {
        let category = self.criteria.category.as_ref();
        let entries = category.map_or(self.found.last_number, |category| category.product_count);
        let rows = window.offset + window.limit;
        rows.saturating_mul(entries) / matches.len().max(1)
    }

    /// Returns the statement that scans the index of a sort order from the first of some buckets on.
    fn scan_from<'q>(
        &self,
        buckets: &Buckets,
        names: &'q (String, String),
        sort: Sort,
    ) -> ProductQuery<'q> {
        let is_descending = sort.is_descending();
        if sort.is_by_price() {
            let prices = buckets.prices_from(self.criteria.prices.as_ref(), is_descending);
            let criteria = Criteria {
                prices: Some(prices),
                ..self.criteria.clone()
            };
            return in_sort_order(&criteria, sort);
        }
        let mut scan = in_sort_order(self.criteria, sort);
        if is_descending {
            scan.compare("p.name_key <", &names.1);
        } else {
            scan.compare("p.name_key >=", &names.0);
        }
        scan
    }

    /// Returns the product numbers of some matches by relevance: one class after the other until there are `limit`.
    fn by_relevance(&mut self, tx: &mut Tx<'_>, offset: i64, limit: i64) -> Result<Vec<i64>> {
        let mut page = RelevancePage {
            numbers: Vec::new(),
            offset,
            limit,
        };
        let with_sku = self.number_with_sku(tx)?;
        if self.found.count <= MAX_RANKED {
            return self.ranked(tx, with_sku, page.window());
        }
        let mut ranked = ProductSet::default();
        if let Some(number) = with_sku {
            page.add(1, slice(&[number], page.window()))?;
            ranked = ProductSet::new(&[number])?;
        }
        if page.limit > 0 {
            let (found, up_to_there) =
                self.names_that_start_with_text(tx, &ranked, page.window())?;
            page.add(up_to_there.len(), found)?;
            ranked |= &up_to_there;
        }
        if page.limit == 0 {
            return Ok(page.numbers);
        }
        self.find_all(tx)?;
        let (mut in_name, mut others) = (self.found.in_name.clone(), self.found.all.clone());
        others -= &in_name;
        others -= &ranked;
        in_name -= &ranked;
        for class in [in_name, others] {
            let (size, mut found) = (class.len(), Vec::new());
            if page.offset < size && page.limit > 0 {
                found = self.in_order(tx, SORT_IN_CLASS, &class, page.window())?;
            }
            page.add(size, found)?;
        }
        Ok(page.numbers)
    }

    /// Returns the number of the product that has the search text as SKU, if it is a match.
    fn number_with_sku(&mut self, tx: &mut Tx<'_>) -> Result<Option<i64>> {
        let Some(product) = self.search.has_sku else {
            return Ok(None);
        };
        self.find_all(tx)?;
        let number = number_of(tx, product)?;
        Ok(number.filter(|number| self.found.all.contains(*number)))
    }

    /// Returns the product numbers in a window of the matches whose names start with the search text, and all of them
    /// up to there; without those that `ranked` has.
    fn names_that_start_with_text(
        &self,
        tx: &mut Tx<'_>,
        ranked: &ProductSet,
        window: Window<'_>,
    ) -> Result<(Vec<i64>, ProductSet)> {
        let mut criteria = self.criteria.clone();
        let mut max_scanned = i64::MAX;
        let is_complete = self.is_complete();
        if is_complete {
            // The matches have these prices, and the scan may give up early.
            criteria.prices = None;
            max_scanned = self.found.count * ENTRIES_PER_PRODUCT;
        }
        let mut visited = Vec::new();
        let mut is_match = |number| {
            let is_match =
                !ranked.contains(number) && (!is_complete || self.found.all.contains(number));
            if is_match {
                visited.push(number);
            }
            is_match
        };
        let scan = self.with_names(in_sort_order(&criteria, SORT_IN_CLASS));
        let found = in_window(tx, SORT_IN_CLASS, scan, window, max_scanned, &mut is_match)?;
        if let Some(numbers) = found {
            return Ok((numbers, ProductSet::new(&visited)?));
        }
        let mut matches = self.found.all.clone();
        matches -= ranked;
        let matches = matches.to_json();
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
    fn ranked(
        &self,
        tx: &mut Tx<'_>,
        with_sku: Option<i64>,
        window: Window<'_>,
    ) -> Result<Vec<i64>> {
        let (all, in_name) = (self.found.all.to_json(), self.found.in_name.to_json());
        let mut query = ProductQuery::with_numbers(&all);
        let order = format!(
            "ORDER BY CASE WHEN p.rowid = {} THEN 0 WHEN p.name_key >= {} AND p.name_key < {} THEN 1
                 WHEN p.rowid IN (SELECT value FROM json_each({})) THEN 2 ELSE 3 END, p.name_key, p.id",
            query.value(with_sku.map_or(Value::Null, Value::Int)),
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
        cursor_rows(tx, self.criteria.sort, query, None, cursor.limit, on_row)
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

/// Returns the statement that scans the index of a sort order for all products that match the criteria.
fn in_sort_order(criteria: &Criteria, sort: Sort) -> ProductQuery<'static> {
    let mut scan = if sort.is_by_price() {
        ProductQuery::with_criteria(criteria)
    } else {
        ProductQuery::in_sort_order(criteria)
    };
    use_sold_out_index(&mut scan, criteria, sort);
    scan
}

/// Returns the product numbers in a window of a set of products; reads and sorts all of them.
fn sorted(
    tx: &mut Tx<'_>,
    sort: Sort,
    products: &ProductSet,
    window: Window<'_>,
) -> Result<Vec<i64>> {
    let all = products.to_json();
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
