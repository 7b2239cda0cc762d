//! Lists of products.

use std::{sync::Arc, time::Duration};

use axum::{extract::OriginalUri, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    app::State,
    core::{
        error::{Error, Kind, Result},
        money::PriceBound,
        pagination::{CursorPage, List, ListRequest, Page, PageLimit, PageNumber},
    },
    domain::catalog::{self, Filters, Product, Reached, Sort},
    infra::web::{
        client::ClientAddress,
        extract::{Query, empty_is_set},
        respond::{self, INVENTORY_SEQ, WrittenRows},
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// From 1.
    #[param(inline)]
    page: Option<PageNumber>,
    /// 20 if not given.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// The id or slug of a category; an unknown one matches nothing.
    category: Option<String>,
    /// Inclusive, in the currency's minor unit.
    #[param(inline)]
    min_price: Option<PriceBound>,
    /// Inclusive, in the currency's minor unit.
    #[param(inline)]
    max_price: Option<PriceBound>,
    /// `false`: only what is sold out.
    in_stock: Option<bool>,
    /// Words to search for, in names and descriptions; a product fits if each begins one of its words.
    /// Case, accents and inner punctuation make no difference. Where fewer than 20 products fit, up to 20
    /// similar ones follow behind them.
    #[param(max_length = 200)]
    q: Option<String>,
    /// `-createdAt` by default; `relevance` goes with `q`, and is the default there.
    #[param(value_type = Option<Sort>, inline)]
    sort: Option<String>,
    /// Empty to begin a walk, then what `nextCursor` said; not with `page`, nor by relevance.
    #[serde(default, deserialize_with = "empty_is_set")]
    cursor: Option<String>,
}

/// How long a question may be, in characters.
const LONGEST_QUESTION: usize = 200;

impl ListQuery {
    fn parse(self) -> Result<(Filters, ListRequest)> {
        let wrong = |detail: &'static str| Error::new(Kind::InvalidQuery, detail);
        let q = self.q.filter(|q| !q.trim().is_empty());
        if q.as_ref()
            .is_some_and(|q| q.chars().count() > LONGEST_QUESTION)
        {
            return Err(wrong("`q` must be at most 200 characters"));
        }
        let sort = match self.sort.as_deref() {
            None if q.is_some() => Sort::Relevance,
            None => Sort::default(),
            Some(name) => Sort::NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, sort)| *sort)
                .ok_or_else(|| {
                    wrong(
                        "`sort` must be `price`, `name` or `createdAt`, with `-` for downwards, or \
                         `relevance`",
                    )
                })?,
        };
        if sort == Sort::Relevance && q.is_none() {
            return Err(wrong("`sort=relevance` needs words to search for in `q`"));
        }
        if sort == Sort::Relevance && self.cursor.is_some() {
            return Err(wrong(
                "`cursor` does not go with `sort=relevance`; name another sort, or use `page`",
            ));
        }
        let filters = Filters {
            category: self.category,
            min_price: self.min_price.map(PriceBound::get),
            max_price: self.max_price.map(PriceBound::get),
            in_stock: self.in_stock,
            q,
            sort,
        };
        let cursor = self.cursor.as_deref();
        let key = filters.sort.key_type();
        let part = ListRequest::new(self.page, self.limit, cursor, filters.scope(), key)?;
        Ok((filters, part))
    }
}

/// Pages after this row are read where they may take long.
const DEEP: i64 = 10_000;

/// How long a client without a name may wait for a long read.
const DEADLINE: Duration = Duration::from_secs(2);

/// A page of the catalog, or a stretch of a walk through it
///
/// With `cursor` the answer is `data` and `nextCursor`, which is `null` at the end.
#[utoipa::path(get, path = "/products", tag = "catalog", params(ListQuery),
    responses((status = 200, body = List<Product>, headers(
        ("Link", description = "Of a page: `first`, `prev`, `next`, `last` (RFC 8288)"),
        ("X-Inventory-Seq" = i64, description = "The answer is true at least up to this event"),
    ))))]
pub(crate) async fn list_products(
    axum::extract::State(app): State,
    Query(query): Query<ListQuery>,
    OriginalUri(uri): OriginalUri,
    ClientAddress(client): ClientAddress,
) -> Result<Response> {
    let (filters, part) = query.parse()?;
    let seq = app.bus.head();
    let shop = Arc::clone(&app);
    let takes_long = match &part {
        ListRequest::Page(page) => filters.need_counting() || page.offset() > DEEP,
        // Few of many may fit.
        ListRequest::CursorRequest(_) => filters.need_counting(),
    };
    let asked = part.clone();
    // Straight from the rows to JSON: this is the answer that is asked for most.
    let work = move |tx: &mut crate::infra::db::Tx<'_>| {
        let mut rows = WrittenRows::new();
        let listed = catalog::list(tx, &shop, &filters, &asked, |product| rows.push(&product))?;
        Ok((rows, listed))
    };
    let (rows, listed) = if takes_long {
        let network = app.limits.fair_key(client);
        app.db
            .long_read_for(network, DEADLINE, "catalog.list", work)
            .await?
    } else {
        app.db.read("catalog.list", work).await?
    };
    let mut response = match (part, listed) {
        (ListRequest::Page(page), Reached::Page(total)) => {
            let head = Page::new(page, Vec::<()>::new(), total);
            respond::written_page(uri.path(), uri.query(), &head, rows)?
        }
        (ListRequest::CursorRequest(walk), Reached::CursorRequest(next)) => {
            let next_cursor = next.map(|place| walk.cursor(&place)).transpose()?;
            let data = Vec::<()>::new();
            respond::written_stretch(&CursorPage { data, next_cursor }, rows)?
        }
        _ => return Err(Error::internal("a list was answered as another one")),
    };
    response
        .headers_mut()
        .insert(INVENTORY_SEQ, respond::number(seq));
    Ok(response)
}
