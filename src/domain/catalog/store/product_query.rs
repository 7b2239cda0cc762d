//! Builds queries on products: conditions with their values, on the table alone or joined with the search
//! index.

use std::borrow::Cow;

use crate::{
    core::{
        error::Result,
        id::{CollectionId, ProductId},
    },
    domain::catalog::{criteria::Criteria, filters::Sort},
    infra::db::{Row, Tx, Value},
};

/// The columns that [`super::read_product`] reads, of a product `p` and its category `c`.
pub(in crate::domain::catalog) const COLUMNS: &str =
    "c.id AS category_id, c.name AS category_name, c.slug AS category_slug, p.id, p.name, p.slug,
    p.description, p.price, coalesce(p.price_max, p.price) AS price_max, p.stock, p.variant_count, p.created_at,
    p.updated_at, p.images";

pub(in crate::domain::catalog) const CATEGORY_JOIN: &str =
    "LEFT JOIN categories c ON c.id = p.category_id";

/// Called with each row of a query.
pub(in crate::domain::catalog) type OnRow<'s> = &'s mut dyn FnMut(&Row<'_>) -> Result<()>;

/// The `ORDER BY` clause that keeps the order of [`ProductQuery::with_numbers`].
pub(in crate::domain::catalog) const ORDER_OF_NUMBERS: &str = "ORDER BY n.key";

/// The key of `product_search`. A sum hides the key from the planner, which would otherwise scan the key's index from
/// the start.
const SEARCH_KEY: &str = "(s.key + 0)";

/// What a [`ProductQuery`] reads of each product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::catalog) enum Columns {
    /// The columns of [`COLUMNS`].
    Product,
    Id,
}

/// A query on products, with the conditions added so far.
#[derive(Debug, Clone)]
pub(in crate::domain::catalog) struct ProductQuery<'a> {
    columns: Columns,
    /// The placeholder of the id of a collection.
    collection: Option<String>,
    /// The position in the collection, if that is the sort order.
    more_columns: &'static str,
    /// The conditions on `product_search`, as `s`, if the query starts there.
    search_conditions: Option<String>,
    /// The table of products, as `p`.
    table: String,
    conditions: String,
    values: Vec<Value<'a>>,
    /// Whether there are conditions on the product, apart from that it is not deleted.
    has_product_conditions: bool,
}

impl<'a> ProductQuery<'a> {
    /// Matches all products that are not deleted.
    pub(in crate::domain::catalog) fn new() -> Self {
        ProductQuery {
            columns: Columns::Product,
            collection: None,
            more_columns: "",
            search_conditions: None,
            table: "products p".to_owned(),
            conditions: "p.deleted_at IS NULL".to_owned(),
            values: Vec::new(),
            has_product_conditions: false,
        }
    }

    /// Matches products by their product numbers (`SQLite` only), a JSON array. For its order see
    /// [`ORDER_OF_NUMBERS`].
    pub(in crate::domain::catalog) fn with_numbers(numbers: &'a str) -> Self {
        let mut query = ProductQuery::new();
        let numbers = query.value(numbers);
        // `CROSS JOIN` keeps the planner from starting with the products.
        query.table = format!("json_each({numbers}) n CROSS JOIN products p");
        query.add_condition("p.rowid = n.value");
        query
    }

    /// Matches products that match all criteria.
    pub(in crate::domain::catalog) fn with_criteria(criteria: &Criteria) -> Self {
        ProductQuery::matching(criteria, "p.price")
    }

    /// Like [`ProductQuery::with_criteria`], but the database does not look up the prices: it scans the index of the
    /// sort order, which has them. (The sign hides the column from the planner.)
    pub(in crate::domain::catalog) fn in_sort_order(criteria: &Criteria) -> Self {
        ProductQuery::matching(criteria, "+p.price")
    }

    fn matching(criteria: &Criteria, price: &str) -> Self {
        let mut query = ProductQuery::new();
        if let Some(collection) = criteria.collection {
            query.add_collection(collection, criteria.sort);
        }
        if let Some(product) = criteria.product {
            query.compare("p.id =", product);
        }
        if let Some(category) = &criteria.category {
            query.compare("p.category_id =", category.id);
        }
        if let Some(prices) = &criteria.prices {
            // With both limits, `SQLite` prefers the index of prices to that of the sort order.
            query.compare(&format!("{price} >="), *prices.start());
            query.compare(&format!("{price} <="), *prices.end());
        }
        match criteria.in_stock {
            Some(true) => query.add_condition("p.sold_out = 0"),
            Some(false) => query.add_condition("p.sold_out = 1"),
            None => {}
        }
        query
    }

    /// Matches the products of a collection. Unless the query starts with `product_search`, it starts there.
    fn add_collection(&mut self, collection: CollectionId, sort: Sort) {
        self.collection = Some(self.value(collection));
        self.has_product_conditions = true;
        // `CROSS JOIN` keeps the planner of `SQLite` from starting with the products.
        "collection_products l CROSS JOIN products p".clone_into(&mut self.table);
        if sort == Sort::Position {
            self.more_columns = ", l.position";
        }
    }

    pub(in crate::domain::catalog) fn set_columns(&mut self, columns: Columns) {
        self.columns = columns;
    }

    /// Starts with the rows of `product_search` that match a condition. It has no deleted products.
    pub(in crate::domain::catalog) fn search(&mut self, condition: String) {
        self.search_conditions = Some(condition);
    }

    /// Adds a value and returns its placeholder.
    pub(in crate::domain::catalog) fn value(&mut self, value: impl Into<Value<'a>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// Adds the ids as values and returns their placeholders.
    fn id_placeholders(&mut self, products: &[ProductId]) -> String {
        let placeholders: Vec<_> = products.iter().map(|id| self.value(*id)).collect();
        placeholders.join(", ")
    }

    /// Adds a condition on the product.
    pub(in crate::domain::catalog) fn add_condition(&mut self, condition: &str) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
        self.has_product_conditions = true;
    }

    /// Adds a comparison with a value.
    pub(in crate::domain::catalog) fn compare(
        &mut self,
        comparison: &str,
        value: impl Into<Value<'a>>,
    ) {
        let placeholder = self.value(value);
        self.add_condition(&format!("{comparison} {placeholder}"));
    }

    /// Adds a condition on `product_search`, without reading the product.
    pub(in crate::domain::catalog) fn add_index_condition(&mut self, condition: &str) {
        if let Some(conditions) = &mut self.search_conditions {
            conditions.push_str(" AND ");
            conditions.push_str(condition);
        }
    }

    /// Adds a comparison of the index key with a value.
    pub(in crate::domain::catalog) fn compare_key(
        &mut self,
        operator: &str,
        value: impl Into<Value<'a>>,
    ) {
        let placeholder = self.value(value);
        self.add_index_condition(&format!("{SEARCH_KEY} {operator} {placeholder}"));
    }

    /// Matches only these products; the list must not be empty.
    pub(in crate::domain::catalog) fn only(&mut self, products: &[ProductId]) {
        let ids = self.id_placeholders(products);
        self.add_condition(&format!("p.id IN ({ids})"));
    }

    /// Returns the `ORDER BY` clause that keeps the order of these products.
    pub(in crate::domain::catalog) fn order_of(&mut self, products: &[ProductId]) -> String {
        let branches: Vec<_> = (0..)
            .zip(products)
            .map(|(at, id): (i32, _)| format!("WHEN {} THEN {at}", self.value(*id)))
            .collect();
        format!("ORDER BY CASE p.id {} END", branches.join(" "))
    }

    /// Makes the database use this index (`SQLite` only).
    pub(in crate::domain::catalog) fn force_index(&mut self, index: &str) {
        self.table = format!("products p INDEXED BY {index}");
    }

    pub(in crate::domain::catalog) fn table(&self) -> &str {
        &self.table
    }

    /// Returns the conditions on the product.
    pub(in crate::domain::catalog) fn conditions(&self) -> Cow<'_, str> {
        let conditions = &self.conditions;
        let Some(id) = &self.collection else {
            return Cow::Borrowed(conditions);
        };
        Cow::Owned(if self.search_conditions.is_some() {
            format!(
                "p.id IN (SELECT l.product_id FROM collection_products l WHERE l.collection_id = {id}) AND {conditions}"
            )
        } else {
            format!("l.collection_id = {id} AND p.id = l.product_id AND {conditions}")
        })
    }

    /// Assembles a statement. With an index, products are joined only if a condition or the head needs them.
    fn statement(&self, head: &str, joins: &str, tail: &str, reads_products: bool) -> String {
        let conditions = &*self.conditions();
        match &self.search_conditions {
            // Most requests need this one, so it is assembled with a single allocation.
            None => {
                let parts = [
                    head,
                    " FROM ",
                    &self.table,
                    " ",
                    joins,
                    " WHERE ",
                    conditions,
                    " ",
                    tail,
                ];
                parts.concat()
            }
            Some(matches) if reads_products => format!(
                "{head} FROM product_search s JOIN products p ON p.id = s.product_id {joins} \
                 WHERE {matches} AND {conditions} {tail}"
            ),
            Some(matches) => format!("{head} FROM product_search s WHERE {matches} {tail}"),
        }
    }

    /// Counts the matching products, up to `max`.
    pub(in crate::domain::catalog) fn count(&self, tx: &mut Tx<'_>, max: i64) -> Result<i64> {
        let tail = format!("LIMIT {max}) AS counted");
        let head = "SELECT count(*) AS count FROM (SELECT 1";
        let sql = self.statement(head, "", &tail, self.has_product_conditions);
        let counted = tx.one(&sql, &self.values, |row| row.get("count"))?;
        Ok(counted.unwrap_or_default())
    }

    /// Calls `on_row` with the matching products in an order, and returns how many there were.
    pub(in crate::domain::catalog) fn rows(
        mut self,
        tx: &mut Tx<'_>,
        order: &str,
        limit: i64,
        offset: i64,
        on_row: OnRow<'_>,
    ) -> Result<i64> {
        let mut tail = format!("{order} LIMIT {}", self.value(limit));
        if offset > 0 {
            tail = format!("{tail} OFFSET {}", self.value(offset));
        }
        let sql = match self.columns {
            Columns::Product => {
                let head = format!("SELECT {COLUMNS}{}", self.more_columns);
                self.statement(&head, CATEGORY_JOIN, &tail, true)
            }
            Columns::Id => self.statement("SELECT p.id", "", &tail, true),
        };
        self.each(tx, &sql, on_row)
    }

    /// Returns up to `max` rows that the index finds, in any order. `read` gets the id, the normalized name and
    /// the words of the name.
    pub(in crate::domain::catalog) fn index_rows<T>(
        &self,
        tx: &mut Tx<'_>,
        max: i64,
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let head = "SELECT s.product_id, s.name_key, s.name_words";
        let sql = self.statement(
            head,
            "",
            &format!("LIMIT {max}"),
            self.has_product_conditions,
        );
        tx.all(&sql, &self.values, read)
    }

    /// Returns the index key at this offset, in key order.
    pub(in crate::domain::catalog) fn key_at(
        &self,
        tx: &mut Tx<'_>,
        offset: i64,
    ) -> Result<Option<i64>> {
        let mut query = self.clone();
        let offset = query.value(offset);
        let tail = format!("ORDER BY {SEARCH_KEY} LIMIT 1 OFFSET {offset}");
        let sql = query.statement(
            &format!("SELECT {SEARCH_KEY} AS key"),
            "",
            &tail,
            query.has_product_conditions,
        );
        tx.one(&sql, &query.values, |row| row.get("key"))
    }

    /// Calls `on_row` with what the index finds, ordered by name, and returns how many there were. Only the
    /// requested rows are joined with their products.
    pub(in crate::domain::catalog) fn rows_by_name(
        mut self,
        tx: &mut Tx<'_>,
        limit: i64,
        offset: i64,
        on_row: OnRow<'_>,
    ) -> Result<i64> {
        let (limit, offset) = (self.value(limit), self.value(offset));
        let tail = format!("ORDER BY s.name_key, s.product_id LIMIT {limit} OFFSET {offset}");
        let head = "SELECT s.product_id AS id, s.name_key AS name_key";
        let found = self.statement(head, "", &tail, self.has_product_conditions);
        if self.columns == Columns::Id {
            return self.each(tx, &found, on_row);
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM ({found}) AS found JOIN products p ON p.id = found.id {CATEGORY_JOIN}
             ORDER BY found.name_key, found.id"
        );
        self.each(tx, &sql, on_row)
    }

    /// Calls `each` with the product numbers of the matching products (`SQLite` only) in an order, until it returns
    /// `false`.
    pub(in crate::domain::catalog) fn numbers(
        &self,
        tx: &mut Tx<'_>,
        order: &str,
        each: &mut dyn FnMut(i64) -> bool,
    ) -> Result<()> {
        let sql = self.statement("SELECT p.rowid AS number", "", order, true);
        tx.each_while(&sql, &self.values, |row| Ok(each(row.get("number")?)))
    }

    fn each(&self, tx: &mut Tx<'_>, sql: &str, on_row: OnRow<'_>) -> Result<i64> {
        let mut count = 0;
        tx.each(sql, &self.values, |row| {
            count += 1;
            on_row(row)
        })?;
        Ok(count)
    }
}
