//! Lists of products: filters, sorts and pages as one statement each, and totals that are kept
//! where they can be.

use std::fmt::Write;

use super::{Product, SHOWN, categories::category_by_name_in_path, product};
use crate::{
    args,
    db::{Tx, Value},
    error::Result,
    page::{COUNTED_UP_TO, PageRequest, Total},
    web::App,
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
}

impl Sort {
    /// The names that clients use.
    pub const NAMES: [(&'static str, Sort); 6] = [
        ("price", Sort::Price),
        ("-price", Sort::PriceDown),
        ("name", Sort::Name),
        ("-name", Sort::NameDown),
        ("createdAt", Sort::CreatedAt),
        ("-createdAt", Sort::CreatedAtDown),
    ];

    fn column(self) -> &'static str {
        match self {
            Sort::Price | Sort::PriceDown => "p.price",
            Sort::Name | Sort::NameDown => "p.name_key",
            Sort::CreatedAt | Sort::CreatedAtDown => "p.created_at",
        }
    }

    fn is_down(self) -> bool {
        matches!(self, Sort::PriceDown | Sort::NameDown | Sort::CreatedAtDown)
    }
}

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
    pub sort: Sort,
}

impl Filters {
    /// Whether no kept count answers how many match, so that they have to be counted.
    pub fn need_counting(&self) -> bool {
        self.min_price.is_some() || self.max_price.is_some() || self.in_stock.is_some()
    }
}

/// Hands the products of one page over, in their order, and tells how many match in all.
pub(in crate::catalog) fn list(
    tx: &mut Tx<'_>,
    app: &App,
    filters: &Filters,
    page: PageRequest,
    mut each: impl FnMut(Product<'_>) -> Result<()>,
) -> Result<Total> {
    let category = match &filters.category {
        None => None,
        Some(name) => match category_by_name_in_path(tx, name)? {
            Some(category) => Some(category),
            None => return Ok(Total::exact(0)),
        },
    };
    let mut clause = String::from(" WHERE p.deleted_at IS NULL");
    let mut args: Vec<Value<'_>> = Vec::new();
    let mut narrow = |condition: &str, value: Value<'static>| {
        args.push(value);
        // Writing into a `String` cannot fail.
        let _ = write!(clause, " AND {condition} ?{}", args.len());
    };
    if let Some(category) = &category {
        narrow("p.category_id =", Value::from(category.id));
    }
    if let Some(least) = filters.min_price {
        narrow("p.price >=", Value::Int(least));
    }
    if let Some(most) = filters.max_price {
        narrow("p.price <=", Value::Int(most));
    }
    match filters.in_stock {
        Some(true) => clause.push_str(" AND p.stock > 0"),
        Some(false) => clause.push_str(" AND p.stock = 0"),
        None => {}
    }

    let total = if filters.need_counting() {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM products p{clause} LIMIT {}) AS counted",
            COUNTED_UP_TO + 1
        );
        Total::counted(tx.one(&sql, &args, |row| row.get(0))?.unwrap_or_default())
    } else if let Some(category) = &category {
        Total::exact(category.product_count)
    } else {
        let kept = tx.one(
            "SELECT value FROM kept_counts WHERE name = ?1",
            args!["products"],
            |row| row.get(0),
        )?;
        Total::exact(kept.unwrap_or_default())
    };

    let column = filters.sort.column();
    let (direction, onward) = if filters.sort.is_down() {
        (" DESC", "<=")
    } else {
        ("", ">=")
    };
    let order = format!("ORDER BY {column}{direction}, p.id{direction}");
    args.push(Value::Int(page.limit));
    let limit = args.len();
    // A later page is sought by its first row, which the index alone finds: skipping whole rows
    // would read every one of them.
    let seek = if page.offset() > 0 {
        args.push(Value::Int(page.offset()));
        let offset = args.len();
        format!(
            " AND ({column}, p.id) {onward}
             (SELECT {column}, p.id FROM products p{clause} {order} LIMIT 1 OFFSET ?{offset})"
        )
    } else {
        String::new()
    };
    let sql = format!("SELECT {SHOWN}{clause}{seek} {order} LIMIT ?{limit}");
    tx.each(&sql, &args, |row| each(product(row, app)?))?;
    Ok(total)
}
