//! Pages of lists: which part is asked for, and the envelope in which it goes out.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::core::{
    error::{Error, Kind, Result},
    money::whole,
};

/// Counting stops here where no kept count answers.
pub const COUNTED_UP_TO: i64 = 10_000;

whole! {
    /// The number of a page, from 1.
    PageNumber, 1, 1_000_000_000
}
whole! {
    /// How many rows a page has at most.
    PageLimit, 1, 100
}

/// Which part of a list: `page` from 1, `limit` rows each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    pub page: i64,
    pub limit: i64,
}

impl PageRequest {
    const DEFAULT_LIMIT: i64 = 20;

    pub fn new(page: Option<PageNumber>, limit: Option<PageLimit>) -> Self {
        PageRequest {
            page: page.map_or(1, PageNumber::get),
            limit: limit.map_or(Self::DEFAULT_LIMIT, PageLimit::get),
        }
    }

    /// How many rows come before this page.
    pub fn offset(self) -> i64 {
        (self.page - 1) * self.limit
    }
}

/// How many rows match, exactly or as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    pub rows: i64,
    pub is_capped: bool,
}

impl Total {
    pub fn exact(rows: i64) -> Self {
        Total {
            rows,
            is_capped: false,
        }
    }

    /// From a count that stopped at one row past [`COUNTED_UP_TO`].
    pub fn counted(rows: i64) -> Self {
        Total {
            rows: rows.min(COUNTED_UP_TO),
            is_capped: rows > COUNTED_UP_TO,
        }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub data: Vec<T>,
    pub page: i64,
    pub limit: i64,
    /// How many there are in all; exact unless `totalIsCapped`.
    pub total: i64,
    pub total_pages: i64,
    /// Present and `true` where counting stopped at 10,000.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub total_is_capped: bool,
}

impl<T> Page<T> {
    pub fn new(request: PageRequest, data: Vec<T>, total: Total) -> Self {
        Page {
            data,
            page: request.page,
            limit: request.limit,
            total: total.rows,
            total_pages: (total.rows + request.limit - 1) / request.limit,
            total_is_capped: total.is_capped,
        }
    }
}

/// What a list sorts by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    Number(i64),
    Text(String),
}

/// The type of a list's sort keys. Cursors come from clients, who may forge them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    Number,
    Text,
}

/// Where a walk through a list stands: behind the row of this key and id. A row whose key does not change
/// is neither skipped nor met twice, whoever else writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub key: SortKey,
    pub id: Uuid,
    /// Whether the row only resembles what is searched for; such rows follow all that fit.
    pub is_similar: bool,
}

/// A walk through a list: where it goes on (none: at the beginning), and by how many rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorRequest {
    pub after: Option<Position>,
    pub limit: i64,
    /// What tells this list, with its filters and sort, from others.
    pub scope: String,
}

impl CursorRequest {
    /// The cursor of a place in this list.
    pub fn cursor(&self, place: &Position) -> Result<String> {
        let cursor = Cursor {
            of: fingerprint(&self.scope),
            key: place.key.clone(),
            id: place.id,
            similar: place.is_similar,
        };
        let bytes = serde_json::to_vec(&cursor).map_err(Error::internal)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Which rows of a list are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListRequest {
    Page(PageRequest),
    CursorRequest(CursorRequest),
}

/// What a cursor says, as JSON in base64: opaque to clients.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// A mark of the list's filters and sort.
    of: String,
    key: SortKey,
    id: Uuid,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    similar: bool,
}

impl ListRequest {
    /// From what a query says; `scope` is the list with its filters and sort, in any fixed writing, and
    /// `key` is what it sorts by. Errors: `InvalidQuery`.
    pub fn new(
        page: Option<PageNumber>,
        limit: Option<PageLimit>,
        cursor: Option<&str>,
        scope: String,
        key: KeyType,
    ) -> Result<ListRequest> {
        let request = PageRequest::new(page, limit);
        let Some(cursor) = cursor else {
            return Ok(ListRequest::Page(request));
        };
        if page.is_some() {
            let detail = "send `page` or `cursor`, not both";
            return Err(Error::new(Kind::InvalidQuery, detail));
        }
        let after = if cursor.is_empty() {
            None
        } else {
            Some(Position::parse(cursor, &scope, key)?)
        };
        Ok(ListRequest::CursorRequest(CursorRequest {
            after,
            limit: request.limit,
            scope,
        }))
    }
}

impl Position {
    fn parse(text: &str, scope: &str, expected: KeyType) -> Result<Position> {
        let read = || -> Option<Cursor> {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let wrong = |detail| Error::new(Kind::InvalidQuery, detail);
        let invalid = || wrong("`cursor` is invalid; restart with `cursor=`");
        let cursor = read().ok_or_else(invalid)?;
        if cursor.of != fingerprint(scope) {
            return Err(wrong(
                "`cursor` belongs to other filters or another sort; restart with `cursor=`",
            ));
        }
        let Cursor {
            key, id, similar, ..
        } = cursor;
        let is_fit = match (&key, expected) {
            (SortKey::Number(_), KeyType::Number) => true,
            // Postgres has no text with a NUL.
            (SortKey::Text(text), KeyType::Text) => !text.contains('\0'),
            _ => false,
        };
        if !is_fit {
            return Err(invalid());
        }
        Ok(Position {
            key,
            id,
            is_similar: similar,
        })
    }
}

fn fingerprint(scope: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(scope.as_bytes())[..9])
}

/// What a walk gives: rows, and where it goes on; `null` at the end.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CursorPage<T> {
    pub data: Vec<T>,
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// What a list answers, as it was asked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum List<T> {
    Page(Page<T>),
    CursorPage(CursorPage<T>),
}
