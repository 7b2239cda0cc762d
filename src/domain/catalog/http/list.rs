//! The product list.

use std::{net::IpAddr, time::Duration};

use axum::{
    RequestExt,
    extract::{OriginalUri, Request},
    response::Response,
};
use http::{Uri, header};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::{
    app::{App, State},
    core::{
        error::{Error, Kind, Result},
        money::PriceBound,
        pagination::{CursorPage, List, ListRequest, Page, PageLimit, PageNumber},
    },
    domain::catalog::{self, Filters, ListOutcome, Product, Sort, cache_tags},
    infra::{
        db::{CacheTag, Tx},
        web::{
            client::ClientAddress,
            extract::{Condition, Query, empty_is_set, parse_with},
            respond::{self, SerializedRows},
            response_cache::Representation,
        },
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// From 1.
    #[param(inline)]
    page: Option<PageNumber>,
    /// Defaults to 20.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// The id or slug of a category; an unknown one matches nothing.
    category: Option<String>,
    /// The id or slug of a collection; an unknown one matches nothing.
    collection: Option<String>,
    /// Inclusive, in the currency's minor unit.
    #[param(inline)]
    min_price: Option<PriceBound>,
    /// Inclusive, in the currency's minor unit.
    #[param(inline)]
    max_price: Option<PriceBound>,
    /// `false` returns sold-out products only.
    in_stock: Option<bool>,
    /// The SKU of a variant; case and width do not matter. An unknown one matches nothing.
    sku: Option<String>,
    /// Search text for names, descriptions and SKUs. A product matches if each search word is a prefix of one of
    /// its words; case, accents and inner punctuation are ignored. By relevance, the product with this SKU comes first.
    /// If fewer than 20 products match, up to 20 similar ones follow after them.
    #[serde(default, deserialize_with = "search_text")]
    #[param(max_length = 200)]
    q: Option<String>,
    /// Defaults to `relevance` with `q`, to `position` with `collection`, or else to `-createdAt`. `relevance` requires `q`;
    /// `position`, the order of a collection, requires `collection` without `q`.
    #[serde(default, deserialize_with = "sort")]
    #[param(inline)]
    sort: Option<Sort>,
    /// Empty to start cursor pagination, then the value of `nextCursor`. Not allowed with `page` or with
    /// `sort=relevance`.
    #[serde(default, deserialize_with = "empty_is_set")]
    cursor: Option<String>,
}

/// In characters.
const MAX_QUERY_LEN: usize = 200;

/// A search text without words is as good as none.
fn search_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = parse_with(deserializer, |text| {
        let text = if text.trim().is_empty() { "" } else { text };
        if text.chars().count() > MAX_QUERY_LEN {
            return Err(format!("must be at most {MAX_QUERY_LEN} characters"));
        }
        Ok(text.to_owned())
    });
    Ok(text?.filter(|text| !text.is_empty()))
}

fn sort<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Sort>, D::Error> {
    let rule = "must be `price`, `name` or `createdAt`, with a leading `-` for descending order, or `relevance` or `position`";
    parse_with(deserializer, |text| text.parse().map_err(|_| rule))
}

impl ListQuery {
    fn parse(self) -> Result<(Filters, ListRequest)> {
        let invalid = |detail: &'static str| Error::new(Kind::InvalidQuery, detail);
        let q = self.q;
        let sort = self.sort.unwrap_or(match (&q, &self.collection) {
            (Some(_), _) => Sort::Relevance,
            (None, Some(_)) => Sort::Position,
            (None, None) => Sort::default(),
        });
        if sort == Sort::Position && (q.is_some() || self.collection.is_none()) {
            return Err(invalid(
                "`sort=position` requires a collection, and no search text in `q`",
            ));
        }
        if sort == Sort::Relevance && q.is_none() {
            return Err(invalid("`sort=relevance` requires a search text in `q`"));
        }
        if sort == Sort::Relevance && self.cursor.is_some() {
            return Err(invalid(
                "`cursor` cannot be combined with `sort=relevance`; use another sort order, or `page`",
            ));
        }
        let filters = Filters {
            category: self.category,
            collection: self.collection,
            min_price: self.min_price.map(PriceBound::get),
            max_price: self.max_price.map(PriceBound::get),
            in_stock: self.in_stock,
            sku: self.sku,
            q,
            sort,
        };
        let cursor = self.cursor.as_deref();
        let key = filters.sort.key_type();
        let request = ListRequest::new(self.page, self.limit, cursor, filters.scope(), key)?;
        Ok((filters, request))
    }
}

/// Pages after this offset are read as long reads.
const MAX_SHORT_READ_OFFSET: i64 = 10_000;

/// The timeout of a long read for an anonymous client.
const ANONYMOUS_READ_TIMEOUT: Duration = Duration::from_secs(2);

/// List products by page or cursor
///
/// With `cursor` the response has `data` and `nextCursor`, which is `null` on the last page.
#[utoipa::path(get, path = "/products", tag = "catalog",
    params(
        ListQuery,
        ("If-None-Match" = Option<String>, Header, description = "Entity tags of cached responses"),
    ),
    responses(
        (status = 200, body = List<Product>, headers(
            ("ETag"),
            ("Link"),
            ("X-Inventory-Seq"),
        )),
        (status = 304, description = "The cached response is current", headers(
            ("ETag"),
            ("Link"),
            ("X-Inventory-Seq"),
        )),
    ))]
pub(crate) async fn list_products(
    axum::extract::State(app): State,
    OriginalUri(uri): OriginalUri,
    ClientAddress(client): ClientAddress,
    request: Request,
) -> Result<Response> {
    let condition = Condition::from_headers(request.headers(), &header::IF_NONE_MATCH)?;
    let seq = app.bus.head();
    let read = async {
        let Query(query) = request.extract().await?;
        read_list(&app, query, &uri, client).await
    };
    let list = app.responses.get(&app.db, &uri, read).await?;
    Ok(list.to_read(condition.as_ref(), seq))
}

/// Reads a list of products, with what a cached response depends on.
async fn read_list(
    app: &App,
    query: ListQuery,
    uri: &Uri,
    client: IpAddr,
) -> Result<(Representation, Vec<CacheTag>)> {
    let (filters, request) = query.parse()?;
    let takes_long = match &request {
        ListRequest::Page(page) => filters.needs_count() || page.offset() > MAX_SHORT_READ_OFFSET,
        // A page may have to scan many products to find few matches.
        ListRequest::Cursor(_) => filters.needs_count(),
    };
    let requested = request.clone();
    // Rows are serialized directly to JSON, since this is the most frequent request.
    let work = move |tx: &mut Tx<'_>| {
        let (mut rows, mut ids) = (SerializedRows::new(), Vec::new());
        let listed = catalog::list(tx, &filters, &requested, |product| {
            ids.push(product.id);
            rows.push(&product)
        })?;
        Ok((rows, listed, cache_tags::of_list(&filters, &ids)))
    };
    let (rows, listed, tags) = if takes_long {
        let network = app.limits.fairness_key(client);
        app.db
            .long_read_for(network, ANONYMOUS_READ_TIMEOUT, "catalog.list", work)
            .await?
    } else {
        app.db.read("catalog.list", work).await?
    };
    let representation = match (request, listed) {
        (ListRequest::Page(page), ListOutcome::Page(total)) => {
            let head = Page::new(page, Vec::<()>::new(), total);
            let link = respond::link(uri.path(), uri.query(), &head);
            Representation::new(rows.into_page(&head)?, link)?
        }
        (ListRequest::Cursor(cursor), ListOutcome::Cursor(next)) => {
            let next_cursor = next.map(|position| cursor.cursor(&position)).transpose()?;
            let data = Vec::<()>::new();
            let head = CursorPage { data, next_cursor };
            Representation::new(rows.into_page(&head)?, None)?
        }
        _ => {
            return Err(Error::internal(
                "the list result does not match the request",
            ));
        }
    };
    Ok((representation, tags))
}
