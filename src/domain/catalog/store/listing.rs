//! Lists of products: filters, sorts, pages and walks, and totals that are kept where they can be.

use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};

use super::{
    Product, bulk::kept_count, categories::category_by_name_in_path, found::found, product,
    query::Query,
};
use crate::{
    app::App,
    core::{
        error::Result,
        id::CategoryId,
        pagination::{COUNTED_UP_TO, KeyType, ListRequest, PageRequest, Position, SortKey, Total},
    },
    domain::catalog::{Category, fold, search::Search},
    infra::db::{Row, Sql, Tx, Value, params},
};

/// The order of a list; ties are broken by id, in the same direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    Price,
    PriceDown,
    Name,
    NameDown,
    CreatedAt,
    #[default]
    CreatedAtDown,
    /// What fits best first; only of what is searched for.
    Relevance,
}

impl Sort {
    /// The names that clients use.
    pub const NAMES: [(&'static str, Sort); 7] = [
        ("price", Sort::Price),
        ("-price", Sort::PriceDown),
        ("name", Sort::Name),
        ("-name", Sort::NameDown),
        ("createdAt", Sort::CreatedAt),
        ("-createdAt", Sort::CreatedAtDown),
        ("relevance", Sort::Relevance),
    ];

    pub fn name(self) -> &'static str {
        let own = Sort::NAMES.iter().find(|(_, sort)| *sort == self);
        own.map_or("", |(name, _)| name)
    }

    fn column(self) -> &'static str {
        match self {
            Sort::Price | Sort::PriceDown => "p.price",
            Sort::Name | Sort::NameDown | Sort::Relevance => "p.name_key",
            Sort::CreatedAt | Sort::CreatedAtDown => "p.created_at",
        }
    }

    fn is_down(self) -> bool {
        matches!(self, Sort::PriceDown | Sort::NameDown | Sort::CreatedAtDown)
    }

    /// As `ORDER BY` has it.
    pub(super) fn order(self) -> String {
        let (column, direction) = (self.column(), if self.is_down() { " DESC" } else { "" });
        format!("ORDER BY {column}{direction}, p.id{direction}")
    }

    /// Where a row of [`super::COLUMNS`] stands in this order.
    fn place(self, row: &Row<'_>) -> Result<Position> {
        let key = match self {
            Sort::Price | Sort::PriceDown => SortKey::Number(row.get(4)?),
            Sort::Name | Sort::NameDown | Sort::Relevance => SortKey::Text(fold(row.get(1)?)),
            Sort::CreatedAt | Sort::CreatedAtDown => SortKey::Number(row.get(6)?),
        };
        let id = row.get(0)?;
        Ok(Position {
            key,
            id,
            is_similar: false,
        })
    }

    /// The type of the key that a cursor of this sort holds.
    pub fn key_type(self) -> KeyType {
        match self {
            Sort::Name | Sort::NameDown | Sort::Relevance => KeyType::Text,
            Sort::Price | Sort::PriceDown | Sort::CreatedAt | Sort::CreatedAtDown => {
                KeyType::Number
            }
        }
    }

    /// How the rows behind a place compare with it.
    fn behind(self) -> &'static str {
        if self.is_down() { "<" } else { ">" }
    }
}

impl utoipa::PartialSchema for Sort {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Sort::NAMES.map(|(name, _)| name)))
            .into()
    }
}

impl utoipa::ToSchema for Sort {}

/// What a list is narrowed to; all of it at once.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// An id or a slug; an unknown one matches nothing.
    pub category: Option<String>,
    /// Inclusive, in the currency's minor unit.
    pub min_price: Option<i64>,
    /// Inclusive, in the currency's minor unit.
    pub max_price: Option<i64>,
    /// `false`: only what is sold out.
    pub in_stock: Option<bool>,
    /// Words that are searched for.
    pub q: Option<String>,
    pub sort: Sort,
}

impl Filters {
    /// Whether no kept count answers how many match, so that they have to be counted.
    pub fn need_counting(&self) -> bool {
        self.min_price.is_some()
            || self.max_price.is_some()
            || self.in_stock.is_some()
            || self.q.is_some()
    }

    /// The same for every list that is narrowed and sorted alike.
    pub fn scope(&self) -> String {
        format!(
            "products {:?} {:?} {:?} {:?} {:?} {}",
            self.category,
            self.min_price,
            self.max_price,
            self.in_stock,
            self.q,
            self.sort.name()
        )
    }
}

/// What a list came to, beside its rows.
#[derive(Debug)]
pub enum Reached {
    Page(Total),
    /// Where the walk goes on.
    CursorRequest(Option<Position>),
}

/// Hands the products of one part over, in their order, and tells how many match in all, or where a
/// walk goes on.
pub(in crate::domain::catalog) fn list(
    tx: &mut Tx<'_>,
    app: &App,
    filters: &Filters,
    part: &ListRequest,
    mut each: impl FnMut(Product<'_>) -> Result<()>,
) -> Result<Reached> {
    let nothing = match part {
        ListRequest::Page(_) => Reached::Page(Total::exact(0)),
        ListRequest::CursorRequest(_) => Reached::CursorRequest(None),
    };
    let category = match &filters.category {
        None => None,
        Some(name) => match category_by_name_in_path(tx, name)? {
            Some(category) => Some(category),
            None => return Ok(nothing),
        },
    };
    let mut show = |row: &Row<'_>| each(product(row, app)?);
    if let Some(q) = &filters.q {
        return match Search::parse(q) {
            Some(search) => found(tx, filters, category.as_ref(), search, part, &mut show),
            None => Ok(nothing),
        };
    }
    let query = narrowed(filters, category.as_ref());
    match part {
        ListRequest::Page(page) => {
            let total = match (filters.need_counting(), category) {
                (true, Some(category)) if filters.in_stock.is_none() => {
                    Total::counted(count_priced(tx, filters, category.id)?)
                }
                (true, _) => Total::counted(query.count(tx, COUNTED_UP_TO + 1)?),
                (false, Some(category)) => Total::exact(category.product_count),
                (false, None) => Total::exact(kept_count(tx)?),
            };
            page_of(tx, filters.sort, query, *page, &mut show)?;
            Ok(Reached::Page(total))
        }
        ListRequest::CursorRequest(walk) => {
            let (after, limit) = (walk.after.as_ref(), walk.limit);
            let walked = walk_on(tx, filters.sort, query, after, limit, &mut show)?;
            Ok(Reached::CursorRequest(walked.next()))
        }
    }
}

/// Every filter but the words.
pub(super) fn narrowed<'a>(filters: &Filters, category: Option<&Category>) -> Query<'a> {
    let mut query = Query::new();
    if let Some(category) = category {
        query.and("p.category_id =", category.id);
    }
    if let Some(least) = filters.min_price {
        query.and("p.price >=", least);
    }
    if let Some(most) = filters.max_price {
        query.and("p.price <=", most);
    }
    match filters.in_stock {
        Some(true) => query.narrow("p.stock > 0"),
        Some(false) => query.narrow("p.stock = 0"),
        None => {}
    }
    query
}

/// How many products of a category have a price in the range, counted past [`COUNTED_UP_TO`] at the
/// least. `SQLite` keeps how many have each price, and adds up; no price is kept that none has.
fn count_priced(tx: &mut Tx<'_>, filters: &Filters, category: CategoryId) -> Result<i64> {
    let counted = tx.one(
        Sql::either(
            "SELECT coalesce(sum(products), 0) FROM (
                 SELECT products FROM price_counts
                 WHERE category_id = ?1 AND price BETWEEN ?2 AND ?3 LIMIT ?4
             ) AS kept",
            "SELECT count(*) FROM (
                 SELECT 1 FROM products WHERE category_id = ?1 AND price BETWEEN ?2 AND ?3
                     AND deleted_at IS NULL LIMIT ?4
             ) AS counted",
        ),
        params![
            category,
            filters.min_price.unwrap_or(0),
            filters.max_price.unwrap_or(i64::MAX),
            COUNTED_UP_TO + 1
        ],
        |row| row.get(0),
    )?;
    Ok(counted.unwrap_or_default())
}

/// Reads a row and hands it over.
pub(super) type Show<'s> = &'s mut dyn FnMut(&Row<'_>) -> Result<()>;

fn page_of(
    tx: &mut Tx<'_>,
    sort: Sort,
    mut query: Query<'_>,
    page: PageRequest,
    show: Show<'_>,
) -> Result<()> {
    // A later page is sought by its first row, which the index alone finds: skipping whole rows
    // would read every one of them.
    if page.offset() > 0 {
        let (column, order, onward) = (sort.column(), sort.order(), sort.behind());
        let (narrow, offset) = (query.conditions().to_owned(), query.value(page.offset()));
        query.narrow(&format!(
            "({column}, p.id) {onward}=
             (SELECT {column}, p.id FROM products p WHERE {narrow} {order} LIMIT 1 OFFSET {offset})"
        ));
    }
    query.rows(tx, &sort.order(), page.limit, 0, show).map(drop)
}

/// What a stretch of a walk came to.
pub(super) struct Walked {
    pub(super) shown: i64,
    /// The last row, if there are as many as were asked for.
    pub(super) last: Option<Position>,
    goes_on: bool,
}

impl Walked {
    /// Where the walk goes on.
    pub(super) fn next(self) -> Option<Position> {
        self.last.filter(|_| self.goes_on)
    }

    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }
}

/// Hands over up to `limit` rows behind a place.
pub(super) fn walk_on<'a>(
    tx: &mut Tx<'_>,
    sort: Sort,
    mut query: Query<'a>,
    after: Option<&'a Position>,
    limit: i64,
    show: Show<'_>,
) -> Result<Walked> {
    if let Some(place) = after {
        let key = match &place.key {
            SortKey::Number(number) => query.value(*number),
            SortKey::Text(text) => query.value(text),
        };
        let (column, onward, id) = (
            sort.column(),
            sort.behind(),
            query.value(Value::Id(place.id)),
        );
        query.narrow(&format!("({column}, p.id) {onward} ({key}, {id})"));
    }
    let mut walked = Walked {
        shown: 0,
        last: None,
        goes_on: false,
    };
    // One row more tells whether there is anything behind.
    query.rows(tx, &sort.order(), limit + 1, 0, &mut |row| {
        if walked.shown == limit {
            walked.goes_on = true;
            return Ok(());
        }
        walked.shown += 1;
        if walked.shown == limit {
            walked.last = Some(sort.place(row)?);
        }
        show(row)
    })?;
    Ok(walked)
}
