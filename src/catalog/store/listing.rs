//! Lists of products: filters, sorts and pages as one statement each, and totals that are kept
//! where they can be.

use std::fmt::Write;

use super::{Product, SHOWN, categories::category_by_name_in_path, images_of, product};
use crate::{
    args,
    db::{Tx, Value},
    error::Result,
    page::{COUNTED_UP_TO, Page, PageRequest, Total},
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

    fn order(self) -> &'static str {
        match self {
            Sort::Price => "p.price, p.id",
            Sort::PriceDown => "p.price DESC, p.id DESC",
            Sort::Name => "p.name_key, p.id",
            Sort::NameDown => "p.name_key DESC, p.id DESC",
            Sort::CreatedAt => "p.created_at, p.id",
            Sort::CreatedAtDown => "p.created_at DESC, p.id DESC",
        }
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

pub(in crate::catalog) fn list(
    tx: &mut Tx<'_>,
    app: &App,
    filters: &Filters,
    page: PageRequest,
) -> Result<Page<Product>> {
    let category = match &filters.category {
        None => None,
        Some(name) => match category_by_name_in_path(tx, name)? {
            Some(category) => Some(category),
            None => return Ok(Page::new(page, Vec::new(), Total::exact(0))),
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

    let next = args.len() + 1;
    let sql = format!(
        "SELECT {SHOWN}{clause} ORDER BY {} LIMIT ?{next} OFFSET ?{}",
        filters.sort.order(),
        next + 1
    );
    args.push(Value::Int(page.limit));
    args.push(Value::Int(page.offset()));
    let currency = app.config.currency.code();
    let mut products = tx.all(&sql, &args, |row| product(row, currency))?;
    let ids: Vec<_> = products.iter().map(|product| product.id).collect();
    for (owner, image) in images_of(tx, app, &ids)? {
        if let Some(product) = products.iter_mut().find(|product| product.id == owner) {
            product.images.push(image);
        }
    }
    Ok(Page::new(page, products, total))
}
