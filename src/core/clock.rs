//! Timestamps, and the clock that is passed in, so that a test can fix the time. Only this module asks the
//! system for the time.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{SignedDuration, fmt::temporal::Pieces};
use serde::{Serialize, Serializer};

/// A moment: milliseconds since 1970-01-01T00:00:00Z; RFC 3339 with three decimals outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Timestamp(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Whole seconds since 1970, as tokens count them (RFC 7519 `NumericDate`).
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads an RFC 3339 timestamp, whose fraction of a second may have any number of digits.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let mut text = text.to_owned();
        if let Some(point) = text.find('.') {
            let digits = text[point + 1..].bytes().take_while(u8::is_ascii_digit);
            let end = point + 1 + digits.count();
            // As fine as a nanosecond.
            text.replace_range(end.min(point + 10)..end, "");
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Ok(Timestamp(moment.as_millisecond())),
            Err(error) => at_the_edge(&text).ok_or(error),
        }
    }
}

/// Reads a moment of the first or last day of RFC 3339, which `jiff::Timestamp` leaves out.
fn at_the_edge(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let offset = pieces.to_numeric_offset()?.seconds();
    let since = local.duration_since(epoch) - SignedDuration::from_secs(offset.into());
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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

/// The longest pause between two tries of anything.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// How long to wait after so many tries that failed: 1, 2, 4 … seconds, and no longer than
/// [`LONGEST_PAUSE`].
pub fn back_off(tries: i64) -> Duration {
    let doublings = u32::try_from(tries - 1).unwrap_or_default().min(20);
    Duration::from_secs(1 << doublings).min(LONGEST_PAUSE)
}

/// Where `now` comes from.
#[derive(Debug, Clone)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    pub fn system() -> Self {
        Clock(None)
    }

    /// A clock that stands until [`Clock::advance`] moves it.
    pub fn fixed(at: Timestamp) -> Self {
        Clock(Some(Arc::new(AtomicI64::new(at.0))))
    }

    /// Moves a fixed clock; the system's cannot be moved.
    pub fn advance(&self, span: Duration) {
        self.step(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    }

    /// As [`Clock::advance`], to the past.
    pub fn set_back(&self, span: Duration) {
        self.step(i64::try_from(span.as_millis()).map_or(i64::MIN, i64::saturating_neg));
    }

    fn step(&self, millis: i64) {
        if let Some(now) = &self.0 {
            now.fetch_add(millis, Ordering::SeqCst);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(now) => Timestamp(now.load(Ordering::SeqCst)),
            None => Timestamp(jiff::Timestamp::now().as_millisecond()),
        }
    }
}

/// Detects that the clock jumped forward, by comparing it with a monotonic clock.
#[derive(Debug, Default)]
pub struct ClockJumpDetector(Option<(Timestamp, Instant)>);

/// A smaller difference is a correction of the clock.
const MIN_JUMP: Duration = Duration::from_mins(1);

impl ClockJumpDetector {
    /// Whether the clock has advanced further since the last call than the monotonic clock.
    pub fn has_jumped(&mut self, now: Timestamp, at: Instant) -> bool {
        let last = self.0.replace((now, at));
        last.is_some_and(|(then, began)| {
            now > then
                .plus(at.saturating_duration_since(began))
                .plus(MIN_JUMP)
        })
    }
}
