//! Caches the responses to GET requests that are the same for every client.
//!
//! A response is used only if the database says that it is current (see [`CacheVersion`]), so clients cannot tell
//! that there is a cache.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use metrics::Counter;
use moka::sync::Cache;

use super::{
    extract::Condition,
    respond::{INVENTORY_SEQ, etag, json_bytes, number},
};
use crate::{
    core::error::{Error, Result},
    infra::db::{CacheTag, CacheVersion, Db},
};

/// A JSON representation with the headers that belong to it.
#[derive(Debug, Clone)]
pub struct Representation {
    body: Bytes,
    etag: HeaderValue,
    link: Option<HeaderValue>,
}

impl Representation {
    pub fn new(body: Bytes, link: Option<HeaderValue>) -> Result<Representation> {
        let etag = HeaderValue::from_str(&etag(&body)).map_err(Error::internal)?;
        Ok(Representation { body, etag, link })
    }

    /// Returns the response to a read: 304 if the client has this representation. `seq` is the live inventory event up
    /// to which it is current, or newer.
    pub fn to_read(&self, condition: Option<&Condition>, seq: i64) -> Response {
        let tag = self.etag.to_str().unwrap_or_default();
        if condition.is_some_and(|condition| condition.matches(tag)) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            self.write_headers(response.headers_mut(), seq);
            return response;
        }
        self.to_write(StatusCode::OK, seq)
    }

    /// Returns the response to a write that resulted in this representation.
    pub fn to_write(&self, status: StatusCode, seq: i64) -> Response {
        let mut response = json_bytes(status, self.body.clone());
        self.write_headers(response.headers_mut(), seq);
        response
    }

    fn write_headers(&self, headers: &mut HeaderMap, seq: i64) {
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(INVENTORY_SEQ, number(seq));
        if let Some(link) = &self.link {
            headers.insert(header::LINK, link.clone());
        }
    }
}

/// A cached representation.
struct Entry {
    version: CacheVersion,
    tags: Vec<CacheTag>,
    representation: Representation,
}

/// The memory of an entry besides its texts and tags, roughly, in bytes.
const ENTRY_OVERHEAD: usize = 400;

impl Entry {
    fn size(&self, uri: &str) -> usize {
        let Representation { body, link, .. } = &self.representation;
        let texts = uri.len() + body.len() + link.as_ref().map_or(0, HeaderValue::len);
        texts + size_of_val(&*self.tags) + ENTRY_OVERHEAD
    }
}

/// The cached responses by path and query, up to a number of bytes. The least useful ones are evicted.
pub struct ResponseCache {
    entries: Cache<String, Arc<Entry>>,
    hits: Counter,
    misses: Counter,
}

impl ResponseCache {
    pub fn new(max_bytes: usize, hits: Counter, misses: Counter) -> ResponseCache {
        let size =
            |uri: &String, entry: &Arc<Entry>| u32::try_from(entry.size(uri)).unwrap_or(u32::MAX);
        let entries = Cache::builder()
            .max_capacity(max_bytes as u64)
            .weigher(size)
            .build();
        ResponseCache {
            entries,
            hits,
            misses,
        }
    }

    /// Returns the size of the cached responses, in bytes.
    pub fn size(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.weighted_size()
    }

    /// Returns the representation at `uri`. If it is not cached, or no longer current, `read` reads it, with the tags of
    /// what it depends on.
    pub async fn get(
        &self,
        db: &Db,
        uri: &Uri,
        read: impl Future<Output = Result<(Representation, Vec<CacheTag>)>>,
    ) -> Result<Representation> {
        let Some(version) = db.cache_version()? else {
            return read.await.map(|(representation, _)| representation);
        };
        let uri = uri.path_and_query().map_or(uri.path(), |uri| uri.as_str());
        if let Some(entry) = self.entries.get(uri)
            && db.is_current(entry.version, &entry.tags, version)
        {
            self.hits.increment(1);
            return Ok(entry.representation.clone());
        }
        self.misses.increment(1);
        let (representation, tags) = read.await?;
        let entry = Entry {
            version,
            tags,
            representation: representation.clone(),
        };
        self.entries.insert(uri.to_owned(), Arc::new(entry));
        Ok(representation)
    }
}
