//! Checks of an open shop: whether it is ready, and what needs an operator. `GET /readyz` shows them to admins, and
//! `shop doctor` adds those that take longer.

use std::{path::Path, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

use super::{disk, tls::EXPIRY_NOTICE};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Result, chain},
    },
    infra::{
        backup::state::{self, State},
        bus,
        config::Config,
        db::{self, Load, Tx},
        jobs::{self, JobCount, JobState},
    },
};

/// From this age of the oldest commit that is not archived, the WAL archive has failed.
const LATE_ARCHIVE: Duration = Duration::from_mins(1);

/// A WAL beyond this size, in bytes, is reported: four times the size at which writes wait for a checkpoint. A reader
/// that does not end keeps it from being reused.
const LARGE_WAL: u64 = 1 << 30;

/// Jobs that have waited for this long are reported.
const LONG_WAIT: Duration = Duration::from_hours(1);

/// Below this much free space, in bytes, a disk is reported.
const LITTLE_SPACE: u64 = 1 << 30;

/// Below this much, the next image or checkpoint may fail.
const NO_SPACE: u64 = 64 << 20;

/// How far the clock may be behind the last event. Instances on several machines differ by less.
const MAX_CLOCK_LAG: Duration = Duration::from_secs(5);

/// The result of a check.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Check {
    pub name: &'static str,
    pub status: CheckStatus,
    /// What was found and, unless the status is ok, what to do.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Ok,
    Warning,
    Error,
}

use CheckStatus::{Error as Failed, Ok as Fine, Warning};

impl Check {
    pub fn new(name: &'static str, status: CheckStatus, detail: impl Into<String>) -> Check {
        let detail = detail.into();
        Check {
            name,
            status,
            detail,
        }
    }
}

/// Checks that the database accepts writes and the server is not stopping. The result is shared for a moment.
///
/// Errors: `unavailable`.
pub(super) async fn readiness(app: &App) -> Result<()> {
    if app.stopping.is_cancelled() {
        return Err(Error::unavailable("the server is stopping"));
    }
    app.readiness
        .run(app.db.write("server.ready", db::ping))
        .await
}

impl CheckStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Fine => "ok",
            Warning => "warning",
            Failed => "error",
        }
    }
}

/// Runs all checks. `readiness` is the result of [`readiness`].
pub(super) async fn run(app: &App, readiness: &Result<()>) -> Vec<Check> {
    let mut checks = vec![database(readiness), write_queue(app.db.load())];
    checks.extend(stored_state(app).await);
    if app.config.backup_url.is_some() {
        checks.push(match app.db.read("checks.backup", state::read).await {
            Ok(state) => backup(&app.config, &state, app.clock.now()),
            Err(error) => Check::new("backup", Failed, cannot_check(&error)),
        });
    }
    let expiry = app.certificate_expiry.get();
    checks.extend(certificate(&app.config, expiry, app.clock.now()));
    let wal = app.db.wal_archive();
    checks.extend(wal.map(|archive| wal_archive(archive.lag())));
    checks
}

/// Runs the checks that do not need a running server: WAL, jobs, clock and disk space.
pub async fn stored_state(app: &App) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(app.db.load().wal_bytes.map(wal));
    match app.db.long_read("checks.stored", stored).await {
        Ok(stored) => checks.extend([jobs(&stored), clock(&stored)]),
        Err(error) => {
            let detail = cannot_check(&error);
            checks.extend(["jobs", "clock"].map(|name| Check::new(name, Failed, &*detail)));
        }
    }
    checks.push(disk(&app.config.data_dir));
    checks
}

fn cannot_check(error: &Error) -> String {
    format!("cannot be checked: {}", error.detail())
}

/// Checks how old the newest scheduled backup is, and whether the last attempt to make one failed.
pub fn backup(config: &Config, state: &State, now: Timestamp) -> Check {
    let is_late = |made_at: Timestamp| made_at.plus(config.backup_every.saturating_mul(2)) < now;
    let is_late = state.newest.is_some_and(is_late);
    let newest = match state.newest {
        Some(made_at) => format!("the newest one was made at {made_at}"),
        None => "there is none yet".to_owned(),
    };
    let (status, detail) = match &state.failure {
        Some(failure) => {
            let (at, error) = (failure.at, &failure.error);
            let status = if is_late { Failed } else { Warning };
            (
                status,
                format!("{newest}; the last attempt failed at {at}: {error}"),
            )
        }
        None if is_late => {
            let remedy =
                "more than twice `SHOP_BACKUP_EVERY` ago: keep a server running, and see its log";
            (Failed, format!("{newest}, {remedy}"))
        }
        None if state.newest.is_none() => (
            Warning,
            format!("{newest}; a server makes one when it starts; see its log"),
        ),
        None => (Fine, newest),
    };
    Check::new("backup", status, detail)
}

/// Checks when the certificate expires. Returns `None` without TLS.
pub fn certificate(config: &Config, expiry: Option<Timestamp>, now: Timestamp) -> Option<Check> {
    let name = "certificate";
    let remedy = match (&config.tls_cert, config.acme_domains.is_empty()) {
        (Some(_), _) => "replace its files and send SIGHUP",
        (None, false) => "the log of the server says why ACME has not renewed it",
        (None, true) => return None,
    };
    Some(match expiry {
        None => {
            let detail =
                "there is none yet, so TLS handshakes fail; the log of the server says why";
            Check::new(name, Failed, detail)
        }
        Some(at) if at <= now => Check::new(name, Failed, format!("it expired at {at}; {remedy}")),
        Some(at) if at <= now.plus(EXPIRY_NOTICE) => {
            Check::new(name, Warning, format!("it expires at {at}; {remedy}"))
        }
        Some(at) => Check::new(name, Fine, format!("it expires at {at}")),
    })
}

/// What the checks read from the database.
struct Stored {
    now: Timestamp,
    jobs: Vec<JobCount>,
    last_event_at: Option<Timestamp>,
}

fn stored(tx: &mut Tx<'_>) -> Result<Stored> {
    Ok(Stored {
        now: tx.now(),
        jobs: jobs::counts(tx)?,
        last_event_at: bus::last_event_at(tx)?,
    })
}

fn database(readiness: &Result<()>) -> Check {
    match readiness {
        Ok(()) => Check::new("database", Fine, "accepts writes"),
        Err(error) => Check::new("database", Failed, error.detail()),
    }
}

fn write_queue(load: Load) -> Check {
    let Load {
        queued,
        queue_capacity,
        ..
    } = load;
    let detail = format!("{queued} of at most {queue_capacity} operations wait");
    if queued < queue_capacity / 2 {
        return Check::new("write-queue", Fine, detail);
    }
    let detail = format!("{detail}: the disk or the database is too slow, or the load too high");
    Check::new("write-queue", Warning, detail)
}

fn wal(bytes: u64) -> Check {
    let detail = format!("{} MiB", bytes >> 20);
    if bytes < LARGE_WAL {
        return Check::new("wal", Fine, detail);
    }
    let detail = format!(
        "{detail}: a reader of the database, perhaps another program, kept checkpoints from completing; end it, \
         and restart the server to shrink the file"
    );
    Check::new("wal", Warning, detail)
}

fn wal_archive(lag: Duration) -> Check {
    let seconds = lag.as_secs();
    if lag < LATE_ARCHIVE {
        let detail = format!("at most {} s behind", seconds + 1);
        return Check::new("wal-archive", Fine, detail);
    }
    let detail = format!(
        "commits of the last {seconds} s are not archived: the backup place cannot be reached or is too slow; see the log"
    );
    Check::new("wal-archive", Failed, detail)
}

fn jobs(stored: &Stored) -> Check {
    let in_state = |state| stored.jobs.iter().filter(move |jobs| jobs.state == state);
    let dead: i64 = in_state(JobState::Dead).map(|jobs| jobs.count).sum();
    let waiting: i64 = in_state(JobState::Waiting).map(|jobs| jobs.count).sum();
    let ages = in_state(JobState::Waiting).map(|jobs| (jobs.age(stored.now), &*jobs.kind));
    let (age, kind) = ages.max().unwrap_or_default();
    let oldest = humantime::format_duration(Duration::from_secs(age.as_secs()));
    let mut detail = format!("{waiting} waiting, {dead} dead");
    if waiting > 0 {
        detail = format!("{detail}; the oldest waiting one (`{kind}`) is from {oldest} ago");
    }
    if dead == 0 && age < LONG_WAIT {
        return Check::new("jobs", Fine, detail);
    }
    Check::new(
        "jobs",
        Warning,
        format!("{detail}; see `shop admin jobs list`"),
    )
}

fn clock(stored: &Stored) -> Check {
    let now = stored.now;
    match stored.last_event_at {
        Some(last) if now.plus(MAX_CLOCK_LAG) < last => {
            let detail = format!(
                "the time is {now}, but the last event happened at {last}: the clock was set back, or is wrong"
            );
            Check::new("clock", Warning, detail)
        }
        _ => Check::new("clock", Fine, format!("the time is {now}")),
    }
}

fn disk(data_dir: &Path) -> Check {
    let space = match disk::space(data_dir) {
        Ok(space) => space,
        Err(error) => {
            let cause = chain(&error);
            return Check::new(
                "disk",
                Warning,
                format!("the free space is unknown: {cause}"),
            );
        }
    };
    let detail = format!("{} of {} MiB are free", space.free >> 20, space.size >> 20);
    let status = match space.free {
        ..NO_SPACE => Failed,
        NO_SPACE..LITTLE_SPACE => Warning,
        _ => return Check::new("disk", Fine, detail),
    };
    Check::new(
        "disk",
        status,
        format!("{detail}: make space on the disk of the data directory"),
    )
}
