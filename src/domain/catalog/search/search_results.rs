//! Lists search results with pagination, by page or cursor.
//!
//! The full-text index returns matches in key order, which is about the order of names, so that the first
//! names are found first. For other orders, few matches are sorted. Many matches are found by scanning the
//! index of the sort order until the page is full, since a page then needs few rows; with bitmaps this reads no
//! products. A small result, which similar products follow, is read whole and ranked here (see
//! [`ResultWithSimilar`]).

use super::{
    engine::search_index,
    name_sort_key,
    query::SearchQuery,
    result_with_similar::ResultWithSimilar,
    search_index::{IndexQuery, SearchField, SearchIndex, Window},
    spelling,
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        pagination::{COUNTED_UP_TO, ListRequest, PageRequest, Total},
    },
    domain::catalog::{
        category::Category,
        filters::{Filters, ListOutcome, Sort},
        store::{Columns, OnRow, ProductQuery, cursor_rows, order_by},
    },
    infra::db::Tx,
};

/// Result sets up to this size are sorted in memory.
const MAX_SORTED_IN_MEMORY: i64 = 5000;

const BY_NAME: &str = "ORDER BY p.name_key, p.id";

/// If fewer products match, up to this many similar ones follow.
const MAX_SIMILAR_PRODUCTS: i64 = 20;

/// Up to this many matches, and those that are read by product number, are read in one statement and ranked here;
/// more are read by [`SearchMatches::by_relevance`].
const MAX_RANKED: i64 = 100;

/// Calls `on_row` with the products that match the search and the filters. If there are few, similar ones
/// follow after all of them, in the same sort order.
pub(in crate::domain::catalog) fn search(
    tx: &mut Tx<'_>,
    filters: &Filters,
    category: Option<&Category>,
    search_query: SearchQuery,
    request: &ListRequest,
    on_row: OnRow<'_>,
) -> Result<ListOutcome> {
    let matches = SearchMatches::new(tx, filters, category, search_query)?;
    let total = matches.total(tx)?;
    let with_similar = if total < MAX_SIMILAR_PRODUCTS {
        Some(matches.with_similar(tx, filters, category, total)?)
    } else {
        None
    };
    let sort = filters.sort;
    match (request, with_similar) {
        (ListRequest::Page(page), Some(similar)) => {
            Ok(ListOutcome::Page(similar.page(tx, sort, *page, on_row)?))
        }
        (ListRequest::Cursor(cursor), Some(similar)) => {
            let next = similar.cursor(tx, sort, cursor, on_row)?;
            Ok(ListOutcome::Cursor(next))
        }
        (ListRequest::Page(page), None) => {
            // A capped total does not include the rows after the cap.
            if page.offset() < total || total > COUNTED_UP_TO {
                matches.page(tx, sort, total, *page, on_row)?;
            }
            Ok(ListOutcome::Page(Total::counted(total)))
        }
        (ListRequest::Cursor(cursor), None) => {
            let (after, limit) = (cursor.after.as_ref(), cursor.limit);
            if after.is_some_and(|position| position.is_similar) {
                // There were few matches when the cursor was created; now similar products do not follow.
                return Ok(ListOutcome::Cursor(None));
            }
            // One extra row shows whether there is a next page.
            let window = Window {
                after,
                offset: 0,
                limit: limit + 1,
            };
            let numbers = matches.numbers(tx, window)?;
            let rows = match &numbers {
                Some(numbers) => {
                    let query = ProductQuery::with_numbers(numbers);
                    cursor_rows(tx, sort, query, None, limit, on_row)?
                }
                None => cursor_rows(tx, sort, matches.sorted(total), after, limit, on_row)?,
            };
            Ok(ListOutcome::Cursor(rows.next()))
        }
    }
}

/// The products that match a search and the filters.
struct SearchMatches<'a> {
    search_query: SearchQuery,
    index: &'static dyn SearchIndex,
    index_query: IndexQuery,
    filters: &'a Filters,
    category: Option<&'a Category>,
    /// All filters but the search text, to be checked on the products.
    all_filters: ProductQuery<'a>,
    /// The filters among them that are not part of `index_query`.
    unindexed_filters: ProductQuery<'a>,
    /// What is read of the products.
    columns: Columns,
    excluded: Vec<ProductId>,
}

impl<'a> SearchMatches<'a> {
    fn new(
        tx: &mut Tx<'_>,
        filters: &'a Filters,
        category: Option<&'a Category>,
        search_query: SearchQuery,
    ) -> Result<SearchMatches<'a>> {
        let index = search_index(tx);
        let mut index_query = index.query(tx, &search_query.clauses)?;
        index.add_filters(tx, &mut index_query, filters, category)?;
        let (all_filters, unindexed_filters) = if index_query.matches.is_some() {
            (
                ProductQuery::in_sort_order(filters, category),
                ProductQuery::from_filters(filters, None),
            )
        } else {
            let all_filters = ProductQuery::from_filters(filters, category);
            (all_filters.clone(), all_filters)
        };
        Ok(SearchMatches {
            search_query,
            index,
            index_query,
            filters,
            category,
            all_filters,
            unindexed_filters,
            columns: Columns::Product,
            excluded: Vec::new(),
        })
    }

    /// Returns the number of matches if the index has counted them.
    fn count(&self) -> Option<i64> {
        self.index_query
            .matches
            .as_ref()
            .map(|matches| matches.count)
    }

    /// Returns the number of matches, counted up to one past [`COUNTED_UP_TO`].
    fn total(&self, tx: &mut Tx<'_>) -> Result<i64> {
        match self.count() {
            Some(count) => Ok(count),
            None => self.query(SearchField::All).count(tx, COUNTED_UP_TO + 1),
        }
    }

    /// Returns all matches, of which there are `total`, and the products that are most similar to the search
    /// without matching it.
    fn with_similar(
        &self,
        tx: &mut Tx<'_>,
        filters: &'a Filters,
        category: Option<&'a Category>,
        total: i64,
    ) -> Result<ResultWithSimilar> {
        let matches = if total == 0 {
            Vec::new()
        } else {
            self.ranked(tx)?.unwrap_or_default()
        };
        let is_filtered = filters.has_price_or_stock_filter() || category.is_some();
        let finds_any = (total > 0 || !is_filtered).then_some(total > 0);
        let mut similar = Vec::new();
        if let Some(corrected) =
            spelling::with_similar_spellings(tx, &self.search_query, finds_any)?
        {
            let mut others = SearchMatches::new(tx, filters, category, corrected)?;
            others.columns = Columns::Id;
            others.excluded.clone_from(&matches);
            similar = others.best(tx)?;
        }
        Ok(ResultWithSimilar { matches, similar })
    }

    /// Returns the ids of the first [`MAX_SIMILAR_PRODUCTS`] matches by relevance.
    fn best(&self, tx: &mut Tx<'_>) -> Result<Vec<ProductId>> {
        if let Some(ranked) = self.ranked(tx)? {
            let best = (0..MAX_SIMILAR_PRODUCTS).zip(ranked);
            return Ok(best.map(|(_, id)| id).collect());
        }
        let mut ids = Vec::new();
        let first = PageRequest {
            page: 1,
            limit: MAX_SIMILAR_PRODUCTS,
        };
        self.by_relevance(tx, first, &mut |row| {
            ids.push(row.get("id")?);
            Ok(())
        })?;
        Ok(ids)
    }

    /// Returns the ids of all matches by relevance, or `None` if there are too many (see [`MAX_RANKED`]). Relevance is
    /// that of [`SearchMatches::by_relevance`].
    fn ranked(&self, tx: &mut Tx<'_>) -> Result<Option<Vec<ProductId>>> {
        let max = match (self.count(), &self.index_query.product_numbers) {
            (Some(count), Some(_)) => count,
            (Some(count), None) if count > MAX_RANKED => return Ok(None),
            _ => MAX_RANKED,
        };
        let search_query = &self.search_query;
        let all = self.query(SearchField::All);
        let mut found = all.index_rows(tx, max + 1, |row| {
            let (id, name_key): (ProductId, String) =
                (row.get("product_id")?, row.get("name_key")?);
            Ok((
                search_query.rank(&name_key, row.get("name_words")?),
                name_key,
                id,
            ))
        })?;
        if i64::try_from(found.len()).map_err(Error::internal)? > max {
            return Ok(None);
        }
        found.sort_unstable();
        Ok(Some(found.into_iter().map(|(.., id)| id).collect()))
    }

    fn page(
        &self,
        tx: &mut Tx<'_>,
        sort: Sort,
        total: i64,
        page: PageRequest,
        on_row: OnRow<'_>,
    ) -> Result<()> {
        if sort == Sort::Relevance {
            let may_be_few = total <= MAX_RANKED || self.index_query.product_numbers.is_some();
            if may_be_few && let Some(matches) = self.ranked(tx)? {
                let similar = Vec::new();
                let result = ResultWithSimilar { matches, similar };
                return result.page(tx, sort, page, on_row).map(drop);
            }
            return self.by_relevance(tx, page, on_row);
        }
        let window = Window {
            after: None,
            offset: page.offset(),
            limit: page.limit,
        };
        if let Some(numbers) = self.numbers(tx, window)? {
            let query = ProductQuery::with_numbers(&numbers);
            return query
                .rows(tx, &order_by(sort), page.limit, 0, on_row)
                .map(drop);
        }
        if sort == Sort::Name {
            let all = self.query(SearchField::All);
            return by_name(tx, &all, page.limit, page.offset(), on_row).map(drop);
        }
        self.sorted(total)
            .rows(tx, &order_by(sort), page.limit, page.offset(), on_row)
            .map(drop)
    }

    /// Returns the product numbers of some matches, if the index has product numbers.
    fn numbers(&self, tx: &mut Tx<'_>, window: Window<'_>) -> Result<Option<String>> {
        let Self {
            index_query,
            filters,
            category,
            ..
        } = self;
        self.index
            .numbers_in_order(tx, index_query, filters, *category, window)
    }

    /// Returns the query for a list that the database sorts. It finds few matches by the search index; for many,
    /// the database scans the index of the sort column.
    fn sorted(&self, total: i64) -> ProductQuery<'_> {
        if total <= MAX_SORTED_IN_MEMORY {
            return self.query(SearchField::All);
        }
        let mut query: ProductQuery<'_> = self.all_filters.clone();
        let words = self.index_query.like(&mut query, "s.words");
        query.add_condition(&format!(
            "EXISTS (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND {words})"
        ));
        query
    }

    /// Returns the query for the products that match in this field, by the search index.
    fn query(&self, field: SearchField) -> ProductQuery<'_> {
        let mut query: ProductQuery<'_> = self.unindexed_filters.clone();
        if self.index_query.product_numbers.is_some() {
            // These products match all filters.
            query = ProductQuery::new();
        }
        query.set_columns(self.columns);
        let source = self.index.source(&mut query, &self.index_query, field);
        query.set_source(source);
        query.exclude(&self.excluded);
        query
    }

    /// Returns the query for names that start with the search text, by the index of names.
    fn name_starts_with_text(&self) -> ProductQuery<'_> {
        let mut query: ProductQuery<'_> = self.all_filters.clone();
        query.set_columns(self.columns);
        query.exclude(&self.excluded);
        let search_query = &self.search_query;
        let (from, to) = (
            query.value(&search_query.normalized),
            query.value(&search_query.upper_bound),
        );
        query.add_condition(&format!("p.name_key >= {from} AND p.name_key < {to}"));
        query
    }

    /// Reads one class of matches after the other until the page is full: names that start with the search text,
    /// names with all words, all others. Each class is ordered by name, so that an exact match comes first.
    fn by_relevance(&self, tx: &mut Tx<'_>, page: PageRequest, on_row: OnRow<'_>) -> Result<()> {
        let (mut offset, mut limit) = (page.offset(), page.limit);
        let mut in_name = self.query(SearchField::Name);
        let (from, to) = (
            in_name.value(&self.search_query.normalized),
            in_name.value(&self.search_query.upper_bound),
        );
        in_name.add_index_condition(&format!("(s.name_key < {from} OR s.name_key >= {to})"));
        let others = self.query(SearchField::AllButName);
        for (class, uses_index) in [
            (self.name_starts_with_text(), false),
            (in_name, true),
            (others, true),
        ] {
            let count = if uses_index {
                by_name(tx, &class, limit, offset, on_row)?
            } else {
                class.clone().rows(tx, BY_NAME, limit, offset, on_row)?
            };
            limit -= count;
            if limit == 0 {
                break;
            }
            offset = if count == 0 && offset > 0 {
                offset - class.count(tx, offset)?
            } else {
                0
            };
        }
        Ok(())
    }
}

/// Calls `on_row` with the rows that the index finds, ordered by name, and returns their number. The index
/// is in key order, so names are compared only between the keys of the first and the last row.
fn by_name(
    tx: &mut Tx<'_>,
    query: &ProductQuery<'_>,
    limit: i64,
    mut offset: i64,
    on_row: OnRow<'_>,
) -> Result<i64> {
    let mut query = query.clone();
    if offset > 0 {
        let Some(first) = query.key_at(tx, offset)? else {
            return Ok(0);
        };
        let first = *name_sort_key::same_letters(first).start();
        let mut before = query.clone();
        before.compare_key("<", first);
        offset -= before.count(tx, offset)?;
        query.compare_key(">=", first);
    }
    if let Some(last) = query.key_at(tx, offset + limit - 1)? {
        query.compare_key("<=", *name_sort_key::same_letters(last).end());
    }
    query.rows_by_name(tx, limit, offset, on_row)
}
