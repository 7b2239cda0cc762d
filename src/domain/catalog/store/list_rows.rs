//! Pagination: reads the rows of a list in its sort order, by page or after a cursor.

use super::product_query::{OnRow, ProductQuery};
use crate::{
    core::{
        error::Result,
        id::{CollectionId, ProductId},
        pagination::{Position, SortKey},
    },
    domain::catalog::{criteria::Criteria, filters::Sort, normalize::normalize},
    infra::db::{Row, Tx, Value, params},
};

fn column(sort: Sort) -> &'static str {
    match sort {
        Sort::Price | Sort::PriceDown => "p.price",
        Sort::Name | Sort::NameDown | Sort::Relevance => "p.name_key",
        Sort::CreatedAt | Sort::CreatedAtDown => "p.created_at",
        Sort::Position => "l.position",
    }
}

/// Returns the `ORDER BY` clause of a sort order.
pub(in crate::domain::catalog) fn order_by(sort: Sort) -> String {
    let (column, direction) = (
        column(sort),
        if sort.is_descending() { " DESC" } else { "" },
    );
    format!("ORDER BY {column}{direction}, p.id{direction}")
}

/// Returns the comparison operator for rows after a position.
fn after_operator(sort: Sort) -> &'static str {
    if sort.is_descending() { "<" } else { ">" }
}

/// Makes `SQLite` use the index of a category's products that are sold out. Without statistics it prefers the index of
/// all products that are sold out.
pub(in crate::domain::catalog) fn use_sold_out_index(
    query: &mut ProductQuery<'_>,
    criteria: &Criteria,
    sort: Sort,
) {
    let is_one = criteria.product.is_some() || criteria.collection.is_some();
    if criteria.category.is_some() && criteria.in_stock == Some(false) && !is_one {
        query.force_index(match sort {
            Sort::Price | Sort::PriceDown => "products_sold_out_by_category_price",
            Sort::Name | Sort::NameDown | Sort::Relevance => "products_sold_out_by_category_name",
            Sort::CreatedAt | Sort::CreatedAtDown | Sort::Position => {
                "products_sold_out_by_category_time"
            }
        });
    }
}

/// Returns the position of a row of a [`ProductQuery`].
fn position(sort: Sort, row: &Row<'_>) -> Result<Position> {
    let key = match sort {
        Sort::Price | Sort::PriceDown => SortKey::Number(row.get("price")?),
        Sort::Name | Sort::NameDown | Sort::Relevance => SortKey::Text(normalize(row.get("name")?)),
        Sort::CreatedAt | Sort::CreatedAtDown => SortKey::Number(row.get("created_at")?),
        Sort::Position => SortKey::Number(row.get("position")?),
    };
    let id = row.get("id")?;
    Ok(Position {
        key,
        id,
        is_similar: false,
    })
}

/// Reads the rows of a page, and returns their number.
pub(in crate::domain::catalog) fn page_rows(
    tx: &mut Tx<'_>,
    sort: Sort,
    mut query: ProductQuery<'_>,
    offset: i64,
    limit: i64,
    on_row: OnRow<'_>,
) -> Result<i64> {
    // A subquery finds the first row of the page by the index alone; `OFFSET` on whole rows would read all of
    // those skipped.
    if offset > 0 {
        let (column, order, operator) = (column(sort), order_by(sort), after_operator(sort));
        let (table, conditions) = (query.table().to_owned(), query.conditions().into_owned());
        let offset = query.value(offset);
        query.add_condition(&format!(
            "({column}, p.id) {operator}=
             (SELECT {column}, p.id FROM {table} WHERE {conditions} {order} LIMIT 1 OFFSET {offset})"
        ));
    }
    query.rows(tx, &order_by(sort), limit, 0, on_row)
}

/// The result of [`cursor_rows`] apart from the rows.
#[derive(Default)]
pub(in crate::domain::catalog) struct CursorRows {
    pub(in crate::domain::catalog) count: i64,
    /// The position of the last row if the page is full.
    pub(in crate::domain::catalog) last: Option<Position>,
    pub(in crate::domain::catalog) has_more: bool,
}

impl CursorRows {
    /// Returns the position after which the next page starts, or `None` at the end.
    pub(in crate::domain::catalog) fn next(self) -> Option<Position> {
        self.last.filter(|_| self.has_more)
    }
}

/// Adds the condition that a row is after a position.
fn add_position<'a>(query: &mut ProductQuery<'a>, sort: Sort, after: Option<&'a Position>) {
    let Some(position) = after else {
        return;
    };
    let key = match &position.key {
        SortKey::Number(number) => query.value(*number),
        SortKey::Text(text) => query.value(text),
    };
    let (column, operator) = (column(sort), after_operator(sort));
    let id = query.value(Value::Id(position.id));
    query.add_condition(&format!("({column}, p.id) {operator} ({key}, {id})"));
}

/// Returns the product number of a product (`SQLite` only).
pub(in crate::domain::catalog) fn number_of(
    tx: &mut Tx<'_>,
    product: ProductId,
) -> Result<Option<i64>> {
    let sql = "SELECT rowid AS number FROM products WHERE id = ?1";
    tx.one(sql, params![product], |row| row.get("number"))
}

/// Returns the product numbers of the products of a collection (`SQLite` only).
pub(in crate::domain::catalog) fn numbers_of_collection(
    tx: &mut Tx<'_>,
    collection: CollectionId,
) -> Result<Vec<i64>> {
    tx.all(
        "SELECT p.rowid AS number FROM collection_products l JOIN products p ON p.id = l.product_id
         WHERE l.collection_id = ?1",
        params![collection],
        |row| row.get("number"),
    )
}

/// Calls `each` with the product numbers of the rows after a position (`SQLite` only), until it returns `false`.
pub(in crate::domain::catalog) fn numbers_after<'a>(
    tx: &mut Tx<'_>,
    sort: Sort,
    mut query: ProductQuery<'a>,
    after: Option<&'a Position>,
    each: &mut dyn FnMut(i64) -> bool,
) -> Result<()> {
    add_position(&mut query, sort, after);
    query.numbers(tx, &order_by(sort), each)
}

/// Reads up to `limit` rows after a position.
pub(in crate::domain::catalog) fn cursor_rows<'a>(
    tx: &mut Tx<'_>,
    sort: Sort,
    mut query: ProductQuery<'a>,
    after: Option<&'a Position>,
    limit: i64,
    on_row: OnRow<'_>,
) -> Result<CursorRows> {
    add_position(&mut query, sort, after);
    let mut rows = CursorRows::default();
    // One extra row shows whether there is a next page.
    query.rows(tx, &order_by(sort), limit + 1, 0, &mut |row| {
        if rows.count == limit {
            rows.has_more = true;
            return Ok(());
        }
        rows.count += 1;
        if rows.count == limit {
            rows.last = Some(position(sort, row)?);
        }
        on_row(row)
    })?;
    Ok(rows)
}
