//! How connections are opened: the target, and the settings of sessions and transactions.

use std::{sync::Arc, time::Duration};

use super::Target;
use crate::infra::db::Access;

/// The settings that writing connections override, whatever the server's or role's defaults are. With
/// `synchronous_commit = off` a crash would lose commits that were already acknowledged and published.
pub(super) const REQUIRED_SETTINGS: &str = "
    SET default_transaction_isolation = 'read committed';
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'";

/// How to open the connections of a pool.
pub(in crate::infra::db) struct ConnectionSettings {
    pub(in crate::infra::db) target: Arc<Target>,
    pub(in crate::infra::db) statement_timeout: Duration,
    pub(in crate::infra::db) lock_timeout: Duration,
    /// Whether the planner is restricted to generic index plans, for connections whose statements all look rows
    /// up by key. Then each statement is planned once, and a table that was small at that time does not leave a
    /// sequential scan in the cached plan.
    pub(in crate::infra::db) forces_index_plans: bool,
}

impl ConnectionSettings {
    /// The timeout of statements and locks of a command that copies a whole database.
    const COPY_TIMEOUT: Duration = Duration::from_hours(24);

    /// Returns the settings for a command that copies a whole database.
    pub(in crate::infra::db) fn for_copy(target: &Target) -> ConnectionSettings {
        ConnectionSettings {
            target: Arc::new(target.clone()),
            statement_timeout: Self::COPY_TIMEOUT,
            lock_timeout: Self::COPY_TIMEOUT,
            forces_index_plans: false,
        }
    }

    /// Returns the statements that set up a session.
    pub(super) fn session_sql(&self) -> String {
        let planner = if self.forces_index_plans {
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
             SET enable_hashjoin = off; SET enable_mergejoin = off;"
        } else {
            ""
        };
        format!(
            "SET statement_timeout = {}; SET lock_timeout = {};
             SET idle_in_transaction_session_timeout = 60000; SET jit = off;
             {planner} {REQUIRED_SETTINGS}",
            self.statement_timeout.as_millis(),
            self.lock_timeout.as_millis()
        )
    }
}

/// Returns the statements that begin a transaction.
pub(super) fn begin_sql(access: Access, lock_timeout: Option<Duration>) -> String {
    const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    // 0 would disable the timeout.
    let millis = |timeout: Duration| timeout.as_millis().max(1);
    match (access, lock_timeout) {
        (Access::Write, None) => "BEGIN".to_owned(),
        (Access::Write, Some(timeout)) => {
            format!("BEGIN; SET LOCAL lock_timeout = {}", millis(timeout))
        }
        (Access::Read | Access::LongRead(None), _) => SNAPSHOT.to_owned(),
        (Access::LongRead(Some(timeout)), _) => format!(
            "{SNAPSHOT}; SET LOCAL statement_timeout = {}",
            millis(timeout)
        ),
    }
}
