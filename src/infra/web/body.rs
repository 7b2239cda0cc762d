//! Reads request bodies into memory, within a limit per body and a memory budget for all of them.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;

use super::client_quota::{ClientQuota, Reservation};
use crate::core::error::{Error, Kind, Result};

/// The maximum size of a body that may use the reserve, in bytes.
const MAX_SMALL_BODY: usize = 16 * 1024;

/// The initial capacity of a buffer, in bytes.
const INITIAL_CAPACITY: usize = 1024;

/// Limits the memory of all request bodies in progress. Uploaded files do not count, since they are
/// streamed to disk.
#[derive(Debug)]
pub struct BodyBudget {
    general: ClientQuota,
    /// For small bodies when the rest is in use, so that slow uploads cannot block checkouts.
    reserve: ClientQuota,
}

impl BodyBudget {
    /// A quarter of `total` bytes is the reserve. With `by_network`, a client network may use at most a
    /// quarter of all bytes.
    pub fn new(total: usize, by_network: bool) -> BodyBudget {
        let reserve = total / 4;
        let general = total - reserve;
        BodyBudget {
            general: ClientQuota::new(by_network.then(|| (total / 4).min(general)), general),
            reserve: ClientQuota::quarter_per_network(reserve, by_network),
        }
    }

    /// Returns a meter for one request. Without a client, its bytes count only towards the total.
    pub fn meter(&self, client: Option<IpAddr>) -> BodyMeter {
        BodyMeter(Arc::new(Mutex::new(Usage {
            bytes: 0,
            general: self.general.reservation(client),
            reserve: self.reserve.reservation(client),
        })))
    }
}

/// Counts the bytes that one request holds. They return to the budget when the last clone is dropped;
/// the middleware holds one until the handler has returned its response.
#[derive(Debug, Clone)]
pub struct BodyMeter(Arc<Mutex<Usage>>);

#[derive(Debug)]
struct Usage {
    bytes: usize,
    general: Reservation,
    reserve: Reservation,
}

impl BodyMeter {
    /// Counts more bytes.
    ///
    /// Errors: `unavailable` if the budget is exhausted.
    pub fn add(&self, bytes: usize) -> Result<()> {
        let mut usage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let usage = &mut *usage;
        usage.bytes += bytes;
        if usage.general.try_grow(bytes).is_ok()
            || (usage.bytes <= MAX_SMALL_BODY && usage.reserve.try_grow(bytes).is_ok())
        {
            return Ok(());
        }
        Err(Error::unavailable(
            "too many request bodies are in progress; retry later",
        ))
    }
}

/// Errors: `unsupported-media-type` if the body is compressed, since decompression could exceed any limit.
pub fn check_coding(headers: &HeaderMap) -> Result<()> {
    let is_identity = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    let is_plain = |text: &str| text.split(',').map(str::trim).all(is_identity);
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.all(|value| value.to_str().is_ok_and(is_plain)) {
        return Ok(());
    }
    let detail = "send the body uncompressed, without `Content-Encoding`";
    Err(Error::new(Kind::UnsupportedContentEncoding, detail))
}

/// Reads a whole body of at most `limit` bytes. The capacity of its buffer counts towards the budget.
///
/// Errors: `payload-too-large`; `unsupported-media-type` if the body is compressed; `unavailable` if the
/// budget is exhausted; `malformed-json` if the body ends early.
pub async fn read_body(request: Request, limit: usize) -> Result<Bytes> {
    let (parts, mut body) = request.into_parts();
    check_coding(&parts.headers)?;
    let meter = parts
        .extensions
        .get::<BodyMeter>()
        .ok_or_else(|| Error::internal("the request has no body meter"))?;
    let mut buffer = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(Kind::MalformedJson, "the request body ended early").caused_by(error)
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let size = buffer.len() + data.len();
        if size > limit {
            let detail = format!("the body is larger than {limit} bytes");
            return Err(Error::new(Kind::TooLarge, detail));
        }
        if size > buffer.capacity() {
            let doubled = buffer.capacity().max(INITIAL_CAPACITY / 2) * 2;
            let capacity = doubled.min(limit).max(size);
            meter.add(capacity - buffer.capacity())?;
            buffer.reserve_exact(capacity - buffer.len());
        }
        buffer.extend_from_slice(&data);
    }
    Ok(buffer.into())
}
