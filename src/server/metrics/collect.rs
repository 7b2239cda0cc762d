//! Determines values when they are read: from the database at most every few seconds, however often they are read.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::SharedString;

use super::{
    declared::{
        ACCESS_TOKENS_CACHED, BACKUP_FAILED, BACKUP_INTERVAL, BACKUP_NEWEST, BUILD_INFO, DISK_FREE,
        DISK_SIZE, JOB_OLDEST, JOBS, LIVE_CONNECTIONS, ORDERS, PAYMENTS_UNMATCHED,
        RESPONSE_CACHE_SIZE, SCRAPE_FAILED, TLS_CERTIFICATE_EXPIRY, WAL_ARCHIVE_LAG, WAL_SIZE,
        WRITE_QUEUE_CAPACITY, WRITE_QUEUE_LENGTH,
    },
    process,
};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Result, chain},
    },
    domain::{
        orders::{self, Status},
        payments,
    },
    infra::{
        backup::{self, state::State},
        db::{self, Tx},
        jobs::{self, JobCount, JobState},
        web::single_flight::SharedCheck,
    },
    server,
};

/// How long values from the database are used. Counting the orders of a large shop takes a good part of a second.
const DATABASE_TTL: Duration = Duration::from_secs(15);

pub(super) struct Collector {
    app: Arc<App>,
    started: Timestamp,
    database: SharedCheck,
    /// The kinds of jobs that were reported. They are reported as 0 when there are none left.
    kinds: Mutex<BTreeSet<String>>,
}

/// What is read from the database.
struct Counts {
    now: Timestamp,
    jobs: Vec<JobCount>,
    orders: Vec<(Status, i64)>,
    unmatched: i64,
    backup: State,
}

impl Collector {
    pub(super) fn new(app: Arc<App>) -> Collector {
        let engine = server::location(&app.config).map_or("unknown", |location| location.engine());
        let schema = db::migrate::latest_version().to_string();
        let build = [
            env!("CARGO_PKG_VERSION").into(),
            engine.into(),
            schema.into(),
        ];
        BUILD_INFO.gauge(build).set(1);
        Collector {
            started: app.clock.now(),
            app,
            database: SharedCheck::new(DATABASE_TTL),
            kinds: Mutex::default(),
        }
    }

    /// Sets the metrics that are not recorded when they change.
    pub(super) async fn collect(&self) {
        let app = &self.app;
        process::collect(self.started);
        let load = app.db.load();
        WRITE_QUEUE_LENGTH.gauge([]).set(size(load.queued));
        WRITE_QUEUE_CAPACITY
            .gauge([])
            .set(size(load.queue_capacity));
        if let Some(bytes) = load.wal_bytes {
            WAL_SIZE.gauge([]).set(float(bytes));
        }
        if let Some(archive) = app.db.wal_archive() {
            WAL_ARCHIVE_LAG.gauge([]).set(archive.lag());
        }
        LIVE_CONNECTIONS.gauge([]).set(size(app.sockets.in_use()));
        ACCESS_TOKENS_CACHED
            .gauge([])
            .set(float(app.tokens.cached()));
        RESPONSE_CACHE_SIZE
            .gauge([])
            .set(float(app.responses.size()));
        if let Some(expiry) = app.certificate_expiry.get() {
            TLS_CERTIFICATE_EXPIRY.gauge([]).set(seconds(expiry));
        }
        if let Ok(disk) = server::disk::space(&app.config.data_dir) {
            DISK_FREE.gauge([]).set(float(disk.free));
            DISK_SIZE.gauge([]).set(float(disk.size));
        }
        let read = self.database.run(self.read_database()).await;
        if let Err(error) = &read {
            tracing::warn!(error = %chain(error), "could not read metrics from the database");
        }
        SCRAPE_FAILED.gauge([]).set(u8::from(read.is_err()));
    }

    async fn read_database(&self) -> Result<()> {
        let counts = self.app.db.long_read("metrics.counts", counts).await?;
        self.report_jobs(&counts);
        for status in Status::ALL {
            let found = counts.orders.iter().find(|(found, _)| found == status);
            let count = found.map_or(0, |(_, count)| *count);
            ORDERS.gauge([status.as_str().into()]).set(count_of(count));
        }
        PAYMENTS_UNMATCHED.gauge([]).set(count_of(counts.unmatched));
        self.report_backups(&counts.backup);
        Ok(())
    }

    fn report_backups(&self, state: &State) {
        let config = &self.app.config;
        if config.backup_url.is_none() {
            return;
        }
        let newest = state.newest.map_or(0.0, seconds);
        BACKUP_NEWEST.gauge([]).set(newest);
        BACKUP_INTERVAL.gauge([]).set(config.backup_every);
        let has_failed = state.failure.is_some();
        BACKUP_FAILED.gauge([]).set(u8::from(has_failed));
    }

    fn report_jobs(&self, counts: &Counts) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.extend(counts.jobs.iter().map(|jobs| jobs.kind.clone()));
        for kind in kinds.iter() {
            let label = SharedString::from(kind.clone());
            for state in [JobState::Waiting, JobState::Dead] {
                let is_of = |jobs: &&JobCount| jobs.kind == *kind && jobs.state == state;
                let jobs = counts.jobs.iter().find(is_of);
                let count = jobs.map_or(0, |jobs| jobs.count);
                let labels = [label.clone(), state.as_str().into()];
                JOBS.gauge(labels).set(count_of(count));
                if state == JobState::Waiting {
                    let age = jobs.map_or(Duration::ZERO, |jobs| jobs.age(counts.now));
                    JOB_OLDEST.gauge([label.clone()]).set(age);
                }
            }
        }
    }
}

fn counts(tx: &mut Tx<'_>) -> Result<Counts> {
    Ok(Counts {
        now: tx.now(),
        jobs: jobs::counts(tx)?,
        orders: orders::counts(tx)?,
        unmatched: payments::unmatched_count(tx)?,
        backup: backup::state::read(tx)?,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating-point numbers"
)]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

pub(super) fn size(value: usize) -> f64 {
    float(u64::try_from(value).unwrap_or(u64::MAX))
}

fn seconds(at: Timestamp) -> f64 {
    count_of(at.seconds().max(0))
}

fn count_of(value: i64) -> f64 {
    float(value.unsigned_abs())
}
