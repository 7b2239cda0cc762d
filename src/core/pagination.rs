//! Pagination: numbered pages with a total, and cursor (keyset) pagination.
//!
//! A cursor encodes the sort key and id of the last row, so that concurrent writes make a list
//! neither repeat nor skip a row. It contains a fingerprint of the list's filters and sort, and is valid only for these.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::core::{
    error::{Error, Kind, Result},
    money::bounded_integer,
};

/// Counting stops here if no stored counter has the total.
pub const COUNTED_UP_TO: i64 = 10_000;

bounded_integer! {
    /// A page number, from 1.
    PageNumber, 1, 1_000_000_000
}
bounded_integer! {
    /// The maximum number of rows on a page.
    PageLimit, 1, 100
}

/// A numbered page: `page` from 1, `limit` rows each.
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

    /// Returns the SQL `OFFSET` of the page.
    pub fn offset(self) -> i64 {
        (self.page - 1) * self.limit
    }
}

/// The number of matching rows: exact, or capped at [`COUNTED_UP_TO`].
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

    /// Returns the total of a count with `LIMIT` [`COUNTED_UP_TO`] + 1.
    pub fn counted(rows: i64) -> Self {
        Total {
            rows: rows.min(COUNTED_UP_TO),
            is_capped: rows > COUNTED_UP_TO,
        }
    }
}

/// A numbered page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub data: Vec<T>,
    pub page: i64,
    pub limit: i64,
    /// The number of matching rows; exact unless `totalIsCapped`.
    pub total: i64,
    pub total_pages: i64,
    /// Present and `true` if counting stopped at 10,000.
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

/// The value that a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    Number(i64),
    Text(String),
}

/// The type of a list's sort keys. It is checked, because a client may forge a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    Number,
    Text,
}

/// A position in a sorted list: after the row with this key and id. Concurrent writes cannot make pagination
/// skip or repeat a row whose key does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub key: SortKey,
    pub id: Uuid,
    /// Whether the row is a similar match (corrected spelling); these follow all exact matches.
    pub is_similar: bool,
}

/// A page of cursor pagination: the `limit` rows after a position; from the start if `after` is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorRequest {
    pub after: Option<Position>,
    pub limit: i64,
    /// The list with its filters and sort, in a fixed format.
    pub scope: String,
}

impl CursorRequest {
    /// Returns how many rows to read: one more than the limit shows whether another page follows.
    pub fn read_limit(&self) -> i64 {
        self.limit + 1
    }

    /// Makes a page of up to [`CursorRequest::read_limit`] rows. `position` returns that of a row.
    pub fn page<T>(
        &self,
        mut data: Vec<T>,
        position: impl Fn(&T) -> Position,
    ) -> Result<CursorPage<T>> {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let has_more = data.len() > limit;
        data.truncate(limit);
        let last = data.last().filter(|_| has_more).map(position);
        let next_cursor = last.map(|position| self.cursor(&position)).transpose()?;
        Ok(CursorPage { data, next_cursor })
    }

    /// Returns the cursor for a position in this list.
    pub fn cursor(&self, position: &Position) -> Result<String> {
        let cursor = Cursor {
            of: fingerprint(&self.scope),
            key: position.key.clone(),
            id: position.id,
            similar: position.is_similar,
        };
        let bytes = serde_json::to_vec(&cursor).map_err(Error::internal)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// The requested rows of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListRequest {
    Page(PageRequest),
    Cursor(CursorRequest),
}

/// The content of a cursor, encoded as JSON in base64url. Opaque to clients.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// The fingerprint of the list's filters and sort.
    of: String,
    key: SortKey,
    id: Uuid,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    similar: bool,
}

impl ListRequest {
    /// Builds the request from query parameters. `scope` is the list with its filters and sort in a fixed
    /// format; `key` is the type of its sort key.
    ///
    /// Errors: `InvalidQuery` if both `page` and `cursor` are given or the cursor is invalid.
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
        Ok(ListRequest::Cursor(CursorRequest {
            after,
            limit: request.limit,
            scope,
        }))
    }
}

impl Position {
    fn parse(text: &str, scope: &str, expected: KeyType) -> Result<Position> {
        let decode = || -> Option<Cursor> {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            serde_json::from_slice(&bytes).ok()
        };
        let invalid_query = |detail| Error::new(Kind::InvalidQuery, detail);
        let invalid = || invalid_query("`cursor` is invalid; restart with `cursor=`");
        let cursor = decode().ok_or_else(invalid)?;
        if cursor.of != fingerprint(scope) {
            return Err(invalid_query(
                "`cursor` belongs to other filters or another sort; restart with `cursor=`",
            ));
        }
        let Cursor {
            key, id, similar, ..
        } = cursor;
        let is_valid = match (&key, expected) {
            (SortKey::Number(_), KeyType::Number) => true,
            // Postgres does not allow NUL in text values.
            (SortKey::Text(text), KeyType::Text) => !text.contains('\0'),
            _ => false,
        };
        if !is_valid {
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

/// A page of cursor pagination. `nextCursor` is `null` on the last page.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CursorPage<T> {
    pub data: Vec<T>,
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A page of a list, numbered or by cursor as requested.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum List<T> {
    Page(Page<T>),
    CursorPage(CursorPage<T>),
}
