//! Periodic timers shared by all instances on one database.

use std::time::Duration;

use super::Tx;
use crate::{
    core::{clock::Timestamp, error::Result},
    infra::db::params,
};

/// Claims the timer `name` for this instance. Returns `true` for one instance per interval `every`, which
/// must then do the work, and `false` for all others.
///
/// The clocks of the instances may differ by less than `every`. A last run further than `every` in the future
/// is ignored: the clock was set back.
pub fn try_claim_timer(tx: &mut Tx<'_>, name: &str, every: Duration) -> Result<bool> {
    let span = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let now = tx.now();
    let due = Timestamp(now.0.saturating_sub(span));
    let latest_valid = Timestamp(now.0.saturating_add(span));
    let claimed = tx.execute(
        "INSERT INTO timers (name, ran_at) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET ran_at = excluded.ran_at
         WHERE timers.ran_at <= ?3 OR timers.ran_at > ?4",
        params![name, now, due, latest_valid],
    )?;
    Ok(claimed == 1)
}
