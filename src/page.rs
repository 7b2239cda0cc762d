//! Pages of lists: which part is asked for, and the envelope in which it goes out.

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Kind, Result};

/// Counting stops here where no kept count answers.
pub const COUNTED_UP_TO: i64 = 10_000;

/// Which part of a list: `page` from 1, `limit` rows each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    pub page: i64,
    pub limit: i64,
}

impl PageRequest {
    pub const DEFAULT_LIMIT: i64 = 20;
    pub const MAX_LIMIT: i64 = 100;

    pub fn new(page: Option<i64>, limit: Option<i64>) -> Result<Self> {
        let page = page.unwrap_or(1);
        let limit = limit.unwrap_or(Self::DEFAULT_LIMIT);
        if !(1..=Self::MAX_LIMIT).contains(&limit) {
            return Err(Error::new(
                Kind::InvalidQuery,
                "`limit` must be from 1 to 100",
            ));
        }
        if !(1..=1_000_000_000).contains(&page) {
            return Err(Error::new(Kind::InvalidQuery, "`page` must be 1 or more"));
        }
        Ok(PageRequest { page, limit })
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
