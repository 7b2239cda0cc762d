//! Reads the matches of a search in a sort order.
//!
//! The rows of `product_search` have keys in about the order of names, so that the first names are found without
//! comparing all of them. For other orders, few matches are sorted. Many matches are found by scanning the index of the
//! sort order until the page is full, since a page then needs few rows.

use super::tsquery::{matches, tsquery};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        pagination::{COUNTED_UP_TO, CursorRequest, PageRequest},
    },
    domain::catalog::{
        criteria::Criteria,
        filters::Sort,
        search::{
            name_sort_key, query::SearchQuery, result_with_similar::rows_in_order,
            search_index::SearchMatches,
        },
        store::{Columns, CursorRows, OnRow, ProductQuery, cursor_rows, order_by, page_rows},
    },
    infra::db::Tx,
};

/// Result sets up to this size are sorted in memory.
const MAX_SORTED_IN_MEMORY: i64 = 5000;

/// Up to this many matches are read in one statement and ranked here.
const MAX_RANKED: i64 = 100;

/// The texts of a product that a query searches.
#[derive(Debug, Clone, Copy)]
enum SearchField {
    Name,
    /// Name and description.
    All,
    /// Name and description, but not if the name alone matches.
    AllButName,
}

pub(super) struct GinResults<'a> {
    search: &'a SearchQuery,
    criteria: &'a Criteria,
    tsquery: String,
    /// The clauses as `LIKE` patterns on words that are preceded by a space.
    patterns: Vec<Vec<String>>,
    /// The number of matches once it is known.
    total: Option<i64>,
}

impl<'a> GinResults<'a> {
    pub(super) fn new(search: &'a SearchQuery, criteria: &'a Criteria) -> GinResults<'a> {
        let pattern = |prefix: &String| format!("% {prefix}%");
        let patterns = |clause: &Vec<String>| clause.iter().map(pattern).collect();
        GinResults {
            search,
            criteria,
            tsquery: tsquery(&search.clauses),
            patterns: search.clauses.iter().map(patterns).collect(),
            total: None,
        }
    }

    /// Returns the query for all products that match the criteria.
    fn filtered(&self) -> ProductQuery<'_> {
        ProductQuery::with_criteria(self.criteria)
    }

    /// Returns the query for the products that match in this field, by the search index.
    fn query(&self, field: SearchField) -> ProductQuery<'_> {
        let mut query = self.filtered();
        let tsquery = query.value(&self.tsquery);
        let (name, all) = (matches("name_words", &tsquery), matches("words", &tsquery));
        query.search(match field {
            SearchField::Name => name,
            SearchField::All => all,
            SearchField::AllButName => format!("{all} AND NOT {name}"),
        });
        query
    }

    /// Returns the query for a list that the database sorts. It finds few matches by the search index; for many,
    /// the database scans the index of the sort column.
    fn sorted(&self, total: i64) -> ProductQuery<'_> {
        if total <= MAX_SORTED_IN_MEMORY {
            return self.query(SearchField::All);
        }
        let mut query = self.filtered();
        let words = self.words_match(&mut query);
        query.add_condition(&format!(
            "EXISTS (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND {words})"
        ));
        query
    }

    /// Returns the condition that the words of a product match all clauses. It needs no index.
    fn words_match<'q>(&'q self, query: &mut ProductQuery<'q>) -> String {
        let mut clauses = Vec::with_capacity(self.patterns.len());
        for patterns in &self.patterns {
            let any: Vec<_> = patterns
                .iter()
                .map(|pattern| format!("(' ' || s.words) LIKE {}", query.value(pattern)))
                .collect();
            clauses.push(format!("({})", any.join(" OR ")));
        }
        clauses.join(" AND ")
    }

    /// Returns the ids of all matches by relevance, or `None` if there are more than [`MAX_RANKED`].
    fn ranked(&self, tx: &mut Tx<'_>) -> Result<Option<Vec<ProductId>>> {
        let all = self.query(SearchField::All);
        let mut found = all.index_rows(tx, MAX_RANKED + 1, |row| {
            let (id, name_key): (ProductId, String) =
                (row.get("product_id")?, row.get("name_key")?);
            let rank = self.search.rank(id, &name_key, row.get("name_words")?);
            Ok((rank, name_key, id))
        })?;
        if i64::try_from(found.len()).map_err(Error::internal)? > MAX_RANKED {
            return Ok(None);
        }
        found.sort_unstable();
        Ok(Some(found.into_iter().map(|(.., id)| id).collect()))
    }

    /// Reads one class of matches after the other until there are `limit`.
    fn by_relevance(
        &self,
        tx: &mut Tx<'_>,
        columns: Columns,
        mut offset: i64,
        mut limit: i64,
        on_row: OnRow<'_>,
    ) -> Result<()> {
        let search = self.search;
        let mut starts_with_text = self.filtered();
        starts_with_text.compare("p.name_key >=", &search.normalized);
        starts_with_text.compare("p.name_key <", &search.upper_bound);
        let mut in_name = self.query(SearchField::Name);
        let (from, to) = (
            in_name.value(&search.normalized),
            in_name.value(&search.upper_bound),
        );
        in_name.add_index_condition(&format!("(s.name_key < {from} OR s.name_key >= {to})"));
        let mut others = self.query(SearchField::AllButName);
        let mut classes = Vec::with_capacity(4);
        if let Some(product) = search.has_sku {
            let mut has_sku = self.query(SearchField::All);
            has_sku.compare("p.id =", product);
            starts_with_text.compare("p.id <>", product);
            in_name.compare("p.id <>", product);
            others.compare("p.id <>", product);
            classes.push((has_sku, true));
        }
        classes.extend([(starts_with_text, false), (in_name, true), (others, true)]);
        for (mut class, is_indexed) in classes {
            class.set_columns(columns);
            let count = if is_indexed {
                by_name(tx, &class, limit, offset, on_row)?
            } else {
                page_rows(tx, Sort::Name, class.clone(), offset, limit, on_row)?
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

impl SearchMatches for GinResults<'_> {
    fn total(&mut self, tx: &mut Tx<'_>) -> Result<i64> {
        if let Some(total) = self.total {
            return Ok(total);
        }
        let total = self.query(SearchField::All).count(tx, COUNTED_UP_TO + 1)?;
        self.total = Some(total);
        Ok(total)
    }

    fn page(&mut self, tx: &mut Tx<'_>, page: PageRequest, on_row: OnRow<'_>) -> Result<()> {
        let total = self.total(tx)?;
        let (offset, limit) = (page.offset(), page.limit);
        match self.criteria.sort {
            Sort::Relevance => {
                if total <= MAX_RANKED
                    && let Some(matches) = self.ranked(tx)?
                {
                    return rows_in_order(tx, &matches, offset, limit, on_row);
                }
                self.by_relevance(tx, Columns::Product, offset, limit, on_row)
            }
            Sort::Name => {
                let all = self.query(SearchField::All);
                by_name(tx, &all, limit, offset, on_row).map(drop)
            }
            sort => self
                .sorted(total)
                .rows(tx, &order_by(sort), limit, offset, on_row)
                .map(drop),
        }
    }

    fn rows_after(
        &mut self,
        tx: &mut Tx<'_>,
        cursor: &CursorRequest,
        on_row: OnRow<'_>,
    ) -> Result<CursorRows> {
        let total = self.total(tx)?;
        let (sort, after) = (self.criteria.sort, cursor.after.as_ref());
        cursor_rows(tx, sort, self.sorted(total), after, cursor.limit, on_row)
    }

    fn most_relevant(&mut self, tx: &mut Tx<'_>, max: i64) -> Result<Vec<ProductId>> {
        if let Some(mut ranked) = self.ranked(tx)? {
            ranked.truncate(usize::try_from(max).map_err(Error::internal)?);
            return Ok(ranked);
        }
        let mut ids = Vec::new();
        self.by_relevance(tx, Columns::Id, 0, max, &mut |row| {
            ids.push(row.get("id")?);
            Ok(())
        })?;
        Ok(ids)
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
