//! Timestamps and the injected clock.
//!
//! Code takes a [`Clock`] as a parameter, so that tests can fix the time. Only this module reads the system
//! clock; `.clippy.toml` bans it elsewhere.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use jiff::{SignedDuration, fmt::temporal::Pieces};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::core::column::{Cell, Column, Value};

/// Milliseconds since the Unix epoch. Serialized as RFC 3339 with three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the timestamp `span` later; saturates.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Returns the timestamp `span` earlier; saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Timestamp(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Returns the timestamp in the basic format of ISO 8601, e.g. `20261129T083359.123Z`, for names of files.
    pub fn basic(self) -> String {
        self.to_string().replace(['-', ':'], "")
    }

    /// Returns whole seconds since the Unix epoch, the unit of JWT claims (RFC 7519 `NumericDate`).
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Parses an RFC 3339 timestamp. The fraction of a second may have any number of digits.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let mut text = text.to_owned();
        if let Some(point) = text.find('.') {
            let digits = text[point + 1..].bytes().take_while(u8::is_ascii_digit);
            let end = point + 1 + digits.count();
            // `jiff` accepts at most nine digits (nanoseconds).
            text.replace_range(end.min(point + 10)..end, "");
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Ok(Timestamp(timestamp.as_millisecond())),
            Err(error) => parse_outside_jiff_range(&text).ok_or(error),
        }
    }
}

/// Parses a timestamp on the first or last day that RFC 3339 can express; `jiff::Timestamp` rejects those.
fn parse_outside_jiff_range(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let offset = pieces.to_numeric_offset()?.seconds();
    let since = local.duration_since(epoch) - SignedDuration::from_secs(offset.into());
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

impl<'a> Column<'a> for Timestamp {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        i64::from_cell(cell).map(Timestamp)
    }
}

impl From<SystemTime> for Timestamp {
    /// Times before 1970 become 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    /// Timestamps before 1970 become 1970.
    fn from(timestamp: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(timestamp.0).unwrap_or_default())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Value::Int(value.0)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

/// The source of `now`: the system clock, or a fixed one in tests.
#[derive(Debug, Clone)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// Returns the system clock.
    pub fn system() -> Self {
        Clock(None)
    }

    /// Returns a clock that changes only by [`Clock::advance`] and [`Clock::set_back`].
    pub fn fixed(at: Timestamp) -> Self {
        Clock(Some(Arc::new(AtomicI64::new(at.0))))
    }

    /// Moves a fixed clock forward. No effect on the system clock.
    pub fn advance(&self, span: Duration) {
        self.step(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    }

    /// Moves a fixed clock backward. No effect on the system clock.
    pub fn set_back(&self, span: Duration) {
        self.step(i64::try_from(span.as_millis()).map_or(i64::MIN, i64::saturating_neg));
    }

    fn step(&self, millis: i64) {
        if let Some(now) = &self.0 {
            now.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Returns the current time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the system clock"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(now) => Timestamp(now.load(Ordering::SeqCst)),
            None => Timestamp(jiff::Timestamp::now().as_millisecond()),
        }
    }
}

/// Detects forward jumps of the wall clock by comparing it with the monotonic clock.
#[derive(Debug, Default)]
pub struct ClockJumpDetector(Option<(Timestamp, Instant)>);

/// Smaller differences are normal clock corrections, e.g. by NTP.
const MIN_JUMP: Duration = Duration::from_mins(1);

impl ClockJumpDetector {
    /// Returns whether the wall clock has advanced further since the last call than the monotonic clock.
    pub fn has_jumped(&mut self, now: Timestamp, at: Instant) -> bool {
        let last = self.0.replace((now, at));
        last.is_some_and(|(then, began)| {
            now > then
                .plus(at.saturating_duration_since(began))
                .plus(MIN_JUMP)
        })
    }
}
