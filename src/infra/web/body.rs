//! Reads request bodies into memory, under a limit for each body and a budget for all of them.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;

use super::shares::{Share, Shares};
use crate::core::error::{Error, Kind, Result};

/// Up to this size, in bytes, a body may use the reserve.
const SMALL: usize = 16 * 1024;

/// The capacity that a buffer begins with, in bytes.
const FIRST_CAPACITY: usize = 1024;

/// Bounds the memory of all request bodies in progress. Files of uploads are not charged: they go to
/// the disk.
#[derive(Debug)]
pub struct BodyBudget {
    general: Shares,
    /// For small bodies once the rest is in use, so that slow uploads cannot block checkouts.
    reserve: Shares,
}

impl BodyBudget {
    /// A quarter of `total` bytes is the reserve. With `by_network`, one client network holds at most a
    /// quarter of all bytes.
    pub fn new(total: usize, by_network: bool) -> BodyBudget {
        let reserve = total / 4;
        let general = total - reserve;
        BodyBudget {
            general: Shares::new(by_network.then(|| (total / 4).min(general)), general),
            reserve: Shares::quarters(reserve, by_network),
        }
    }

    /// What one request is charged; without a client it counts in the total only.
    pub fn meter(&self, client: Option<IpAddr>) -> BodyMeter {
        BodyMeter(Arc::new(Mutex::new(Charge {
            bytes: 0,
            general: self.general.empty(client),
            reserve: self.reserve.empty(client),
        })))
    }
}

/// Counts the bytes that one request holds. They return to the budget when the last clone is dropped;
/// the middleware keeps one until the response is made.
#[derive(Debug, Clone)]
pub struct BodyMeter(Arc<Mutex<Charge>>);

#[derive(Debug)]
struct Charge {
    bytes: usize,
    general: Share,
    reserve: Share,
}

impl BodyMeter {
    /// Charges more bytes. Errors: `unavailable` where the budget has no room.
    pub fn add(&self, bytes: usize) -> Result<()> {
        let mut charge = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let charge = &mut *charge;
        charge.bytes += bytes;
        if charge.general.try_grow(bytes).is_ok()
            || (charge.bytes <= SMALL && charge.reserve.try_grow(bytes).is_ok())
        {
            return Ok(());
        }
        Err(Error::unavailable(
            "too many request bodies are in progress; retry later",
        ))
    }
}

/// Errors: `unsupported-media-type` for a compressed body, which could grow beyond every limit.
pub fn check_coding(headers: &HeaderMap) -> Result<()> {
    let is_identity = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    let is_plain = |text: &str| text.split(',').map(str::trim).all(is_identity);
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    if codings.all(|value| value.to_str().is_ok_and(is_plain)) {
        return Ok(());
    }
    let detail = "send the body uncompressed, without `Content-Encoding`";
    Err(Error::new(Kind::UnsupportedCoding, detail))
}

/// Reads a whole body of at most `limit` bytes into one buffer, which is charged by its capacity.
/// Errors: `payload-too-large`, `unsupported-media-type` where it is compressed, `unavailable` where the budget is in use, `malformed-json` where the
/// body ends early.
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
            let doubled = buffer.capacity().max(FIRST_CAPACITY / 2) * 2;
            let capacity = doubled.min(limit).max(size);
            meter.add(capacity - buffer.capacity())?;
            buffer.reserve_exact(capacity - buffer.len());
        }
        buffer.extend_from_slice(&data);
    }
    Ok(buffer.into())
}
