//! Lists of products.

use std::sync::Arc;

use axum::{extract::OriginalUri, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    catalog::{self, Filters, Product, Sort},
    error::{Error, Kind, Result},
    page::{Page, PageRequest},
    web::{
        State,
        extract::Query,
        respond::{self, INVENTORY_SEQ, WrittenRows},
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// From 1.
    #[param(minimum = 1)]
    page: Option<i64>,
    /// 1 to 100; 20 if not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The id or slug of a category; an unknown one matches nothing.
    category: Option<String>,
    /// Inclusive, in the currency's minor unit.
    #[param(minimum = 0)]
    min_price: Option<i64>,
    /// Inclusive, in the currency's minor unit.
    #[param(minimum = 0)]
    max_price: Option<i64>,
    /// `false`: only what is sold out.
    in_stock: Option<bool>,
    /// `price`, `-price`, `name`, `-name`, `createdAt` or `-createdAt`, the default.
    sort: Option<String>,
}

impl ListQuery {
    fn parse(self) -> Result<(Filters, PageRequest)> {
        let page = PageRequest::new(self.page, self.limit)?;
        let wrong = |detail: &'static str| Error::new(Kind::InvalidQuery, detail);
        if self.min_price.is_some_and(i64::is_negative)
            || self.max_price.is_some_and(i64::is_negative)
        {
            return Err(wrong("`minPrice` and `maxPrice` must be 0 or more"));
        }
        let sort = match self.sort.as_deref() {
            None => Sort::default(),
            Some(name) => Sort::NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, sort)| *sort)
                .ok_or_else(|| {
                    wrong("`sort` must be `price`, `name` or `createdAt`, with `-` for downwards")
                })?,
        };
        let filters = Filters {
            category: self.category,
            min_price: self.min_price,
            max_price: self.max_price,
            in_stock: self.in_stock,
            sort,
        };
        Ok((filters, page))
    }
}

/// Pages behind this row are read where they may take long.
const DEEP: i64 = 10_000;

/// One page of the catalog
#[utoipa::path(get, path = "/products", tag = "catalog", params(ListQuery),
    responses((status = 200, body = Page<Product>, headers(
        ("Link", description = "`first`, `prev`, `next`, `last` (RFC 8288)"),
        ("X-Inventory-Seq", description = "The answer is true at least up to this event"),
    ))))]
pub(crate) async fn list_products(
    axum::extract::State(app): State,
    Query(query): Query<ListQuery>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let (filters, page) = query.parse()?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let takes_long = filters.need_counting() || page.offset() > DEEP;
    // Straight from the rows to JSON: this is the answer that is asked for most.
    let work = move |tx: &mut crate::db::Tx<'_>| {
        let mut rows = WrittenRows::new();
        let total = catalog::list(tx, &shop, &filters, page, |product| rows.push(&product))?;
        Ok((rows, total))
    };
    let (rows, total) = if takes_long {
        app.db.scan("catalog.list", work).await?
    } else {
        app.db.read("catalog.list", work).await?
    };
    let head = Page::new(page, Vec::<()>::new(), total);
    let mut response = respond::written_page(uri.path(), uri.query(), &head, rows)?;
    response
        .headers_mut()
        .insert(INVENTORY_SEQ, respond::number(seq));
    Ok(response)
}
