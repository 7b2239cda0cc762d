//! Lists search results by page or cursor.
//!
//! The full-text index returns matches in key order, which is about the order of names, so that the first
//! names are found first. For other orders, few matches are sorted. Many matches are found by scanning the
//! index of the sort order until the page is full, since a page then needs few rows.

use super::{
    engine::search_index,
    name_sort_key,
    query::SearchQuery,
    search_index::{IndexQuery, SearchField, SearchIndex},
    spelling,
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        pagination::{COUNTED_UP_TO, CursorRequest, ListRequest, PageRequest, Position, Total},
    },
    domain::catalog::{
        category::Category,
        filters::{Filters, ListEnd, Sort},
        store::{OnRow, ProductQuery, cursor_rows, order_by},
    },
    infra::db::Tx,
};

/// Result sets up to this size are sorted in memory.
const SMALL_RESULT: i64 = 5000;

const BY_NAME: &str = "ORDER BY p.name_key, p.id";

/// If fewer products match, up to this many similar ones follow.
const MAX_SIMILAR: i64 = 20;

/// Calls `on_row` with the products that match the search and the filters. If there are few, similar ones
/// follow after all of them, in the same sort order.
pub(in crate::domain::catalog) fn search(
    tx: &mut Tx<'_>,
    filters: &Filters,
    category: Option<&Category>,
    search: SearchQuery,
    request: &ListRequest,
    on_row: OnRow<'_>,
) -> Result<ListEnd> {
    let index_query = search_index(tx).query(tx, &search.clauses)?;
    let matches = Matches::new(tx, filters, category, (search, index_query), Vec::new())?;
    let total = matches.total(tx)?;
    let similar = if total < MAX_SIMILAR {
        matches.similar(tx, filters, category)?
    } else {
        Vec::new()
    };
    match request {
        ListRequest::Page(page) => {
            let total =
                page_with_similar(tx, filters.sort, &matches, total, &similar, *page, on_row)?;
            Ok(ListEnd::Page(total))
        }
        ListRequest::CursorRequest(cursor) => {
            let next =
                cursor_with_similar(tx, filters.sort, &matches, total, &similar, cursor, on_row)?;
            Ok(ListEnd::CursorRequest(next))
        }
    }
}

fn page_with_similar(
    tx: &mut Tx<'_>,
    sort: Sort,
    matches: &Matches<'_>,
    total: i64,
    similar: &[ProductId],
    page: PageRequest,
    on_row: OnRow<'_>,
) -> Result<Total> {
    let (offset, limit) = (page.offset(), page.limit);
    // A capped total does not include the rows after the cap.
    if offset < total || total > COUNTED_UP_TO {
        matches.page(tx, sort, total, page, on_row)?;
    }
    let total_with_similar = total + i64::try_from(similar.len()).map_err(Error::internal)?;
    let left = limit - (total - offset).clamp(0, limit);
    if left > 0 && !similar.is_empty() {
        let (query, order) = by_ids(similar, sort);
        query.rows(tx, &order, left, (offset - total).max(0), on_row)?;
    }
    Ok(Total::counted(total_with_similar))
}

/// Returns the position of the next cursor.
fn cursor_with_similar(
    tx: &mut Tx<'_>,
    sort: Sort,
    matches: &Matches<'_>,
    total: i64,
    similar: &[ProductId],
    cursor: &CursorRequest,
    on_row: OnRow<'_>,
) -> Result<Option<Position>> {
    let (mut after, mut limit) = (cursor.after.as_ref(), cursor.limit);
    if !after.is_some_and(|position| position.is_similar) {
        let rows = cursor_rows(tx, sort, matches.sorted(total), after, limit, on_row)?;
        if rows.count == limit && !similar.is_empty() {
            return Ok(rows.last);
        }
        if rows.has_more {
            return Ok(rows.next());
        }
        (after, limit) = (None, limit - rows.count);
    }
    if similar.is_empty() {
        return Ok(None);
    }
    let (query, _) = by_ids(similar, sort);
    let rows = cursor_rows(tx, sort, query, after, limit, on_row)?;
    Ok(rows.next().map(|position| Position {
        is_similar: true,
        ..position
    }))
}

/// Returns a query for these products and its `ORDER BY` clause; by relevance keeps their order. The list
/// must not be empty.
fn by_ids(ids: &[ProductId], sort: Sort) -> (ProductQuery<'_>, String) {
    let mut query = ProductQuery::new();
    query.only(ids);
    let order = match sort {
        Sort::Relevance => query.order_of(ids),
        _ => order_by(sort),
    };
    (query, order)
}

/// The products that match a search and the filters.
struct Matches<'a> {
    search: SearchQuery,
    index: &'static dyn SearchIndex,
    index_query: IndexQuery,
    /// All filters but the search text.
    filtered: ProductQuery<'a>,
    /// The filters that must be checked on the products that the index finds.
    unindexed: ProductQuery<'a>,
    /// The number of matches, if the index has counted them.
    count: Option<i64>,
    excluded: Vec<ProductId>,
}

impl<'a> Matches<'a> {
    fn new(
        tx: &mut Tx<'_>,
        filters: &'a Filters,
        category: Option<&'a Category>,
        (search, mut index_query): (SearchQuery, IndexQuery),
        excluded: Vec<ProductId>,
    ) -> Result<Matches<'a>> {
        let index = search_index(tx);
        let category_id = category.map(|category| category.id);
        let count = index.filter(
            tx,
            &mut index_query,
            filters,
            category_id,
            COUNTED_UP_TO + 1,
        )?;
        let filtered = ProductQuery::filtered(filters, category);
        let unindexed = match count {
            Some(_) => ProductQuery::filtered(filters, None),
            None => filtered.clone(),
        };
        Ok(Matches {
            search,
            index,
            index_query,
            filtered,
            unindexed,
            count,
            excluded,
        })
    }

    /// Returns the number of matches, counted up to one past [`COUNTED_UP_TO`].
    fn total(&self, tx: &mut Tx<'_>) -> Result<i64> {
        match self.count {
            Some(count) => Ok(count),
            None => self.query(SearchField::All).count(tx, COUNTED_UP_TO + 1),
        }
    }

    /// Returns the products that are most similar to the search without matching it, most similar first.
    fn similar(
        &self,
        tx: &mut Tx<'_>,
        filters: &'a Filters,
        category: Option<&'a Category>,
    ) -> Result<Vec<ProductId>> {
        let Some(corrected) = spelling::or_correct_spelling(tx, &self.search)? else {
            return Ok(Vec::new());
        };
        let matching = self.query(SearchField::All).indexed_ids(tx)?;
        let similar = Matches::new(tx, filters, category, corrected, matching)?;
        let mut ids = Vec::new();
        let first = PageRequest {
            page: 1,
            limit: MAX_SIMILAR,
        };
        similar.by_relevance(tx, first, &mut |row| {
            ids.push(row.get(0)?);
            Ok(())
        })?;
        Ok(ids)
    }

    fn page(
        &self,
        tx: &mut Tx<'_>,
        sort: Sort,
        total: i64,
        page: PageRequest,
        on_row: OnRow<'_>,
    ) -> Result<()> {
        match sort {
            Sort::Relevance => self.by_relevance(tx, page, on_row),
            Sort::Name => {
                let all = self.query(SearchField::All);
                by_name(tx, &all, page.limit, page.offset(), on_row).map(drop)
            }
            _ => {
                let query = self.sorted(total);
                let order = order_by(sort);
                query
                    .rows(tx, &order, page.limit, page.offset(), on_row)
                    .map(drop)
            }
        }
    }

    /// Returns the query for a sort order other than that of the index.
    fn sorted(&self, total: i64) -> ProductQuery<'_> {
        if total <= SMALL_RESULT {
            return self.query(SearchField::All);
        }
        let mut query: ProductQuery<'_> = self.filtered.clone();
        let words = self.index_query.like(&mut query, "s.words");
        query.filter(&format!(
            "EXISTS (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND {words})"
        ));
        query
    }

    fn query(&self, field: SearchField) -> ProductQuery<'_> {
        let mut query: ProductQuery<'_> = self.unindexed.clone();
        if self.index_query.numbers.is_some() {
            // The numbers are those of the products that match all filters.
            query = ProductQuery::new();
        }
        let source = self.index.source(&mut query, &self.index_query, field);
        query.set_source(source);
        query.exclude(&self.excluded);
        query
    }

    /// Returns the query for names that start with the search text, and whether it uses the search index
    /// rather than the index of names.
    fn name_starts_with_text(&self) -> (ProductQuery<'_>, bool) {
        let uses_index = self.index_query.numbers.is_some();
        let mut query = if uses_index {
            self.query(SearchField::All)
        } else {
            let mut query: ProductQuery<'_> = self.filtered.clone();
            query.exclude(&self.excluded);
            query
        };
        let search = &self.search;
        let (from, to) = (
            query.value(&search.folded),
            query.value(&search.upper_bound),
        );
        let range = |name: &str| format!("{name} >= {from} AND {name} < {to}");
        if uses_index {
            query.filter_index(&range("s.name_key"));
        } else {
            query.filter(&range("p.name_key"));
        }
        (query, uses_index)
    }

    /// Reads class after class until the page is full: names that start with the search text, names with all
    /// words, the others. Each class is ordered by name, so that an exact match comes first.
    fn by_relevance(&self, tx: &mut Tx<'_>, page: PageRequest, on_row: OnRow<'_>) -> Result<()> {
        let (mut offset, mut limit) = (page.offset(), page.limit);
        let mut in_name = self.query(SearchField::Name);
        let (from, to) = (
            in_name.value(&self.search.folded),
            in_name.value(&self.search.upper_bound),
        );
        in_name.filter_index(&format!("(s.name_key < {from} OR s.name_key >= {to})"));
        let (starts_with_text, uses_index) = self.name_starts_with_text();
        let others = self.query(SearchField::AllButName);
        for (class, uses_index) in [
            (starts_with_text, uses_index),
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

/// Calls `on_row` with what the index finds, ordered by name, and returns how many there were. The index is
/// in key order, so names are compared only between the keys of the first and the last row.
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
