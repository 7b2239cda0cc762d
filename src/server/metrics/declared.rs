//! The metrics that the server declares, besides those of [`crate::infra::metrics`].

use crate::infra::metrics::{DURATIONS, Metric, MetricKind, STORAGE};

pub(in crate::server) static HTTP_REQUESTS: Metric = Metric {
    name: "shop_http_requests_total",
    kind: MetricKind::Counter,
    labels: &["method", "route", "status"],
    help: "Requests by method, route template (`-`: no route) and status.",
};

pub(in crate::server) static HTTP_REQUEST_DURATION: Metric = Metric {
    name: "shop_http_request_duration_seconds",
    kind: DURATIONS,
    labels: &["method", "route"],
    help: "Time from the head of a request to that of its response.",
};

pub(in crate::server) static HTTP_CONNECTIONS: Metric = Metric {
    name: "shop_http_connections",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Open connections of clients, WebSockets included.",
};

pub(in crate::server) static LIVE_CONNECTIONS: Metric = Metric {
    name: "shop_live_connections",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Open connections of live inventory: WebSockets and event streams.",
};

pub(in crate::server) static ACCESS_TOKENS_CACHED: Metric = Metric {
    name: "shop_access_tokens_cached",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Access tokens whose signature is known to be valid.",
};

pub(in crate::server) static RESPONSE_CACHE_REQUESTS: Metric = Metric {
    name: "shop_response_cache_requests_total",
    kind: MetricKind::Counter,
    labels: &["result"],
    help: "Reads of products and lists: from the response cache (`hit`) or the database (`miss`) (SQLite).",
};

pub(in crate::server) static RESPONSE_CACHE_SIZE: Metric = Metric {
    name: "shop_response_cache_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Memory of the cached responses (SQLite, `SHOP_CACHE_MEMORY`).",
};

pub(in crate::server) static WRITE_QUEUE_LENGTH: Metric = Metric {
    name: "shop_write_queue_length",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Operations that wait for the database: writes (SQLite), reads and writes (Postgres).",
};

pub(in crate::server) static WRITE_QUEUE_CAPACITY: Metric = Metric {
    name: "shop_write_queue_capacity",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Operations that may wait; further ones get 503.",
};

pub(in crate::server) static WAL_SIZE: Metric = Metric {
    name: "shop_wal_size_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Size of the file `shop.db-wal` (SQLite).",
};

pub(in crate::server) static WAL_ARCHIVE_LAG: Metric = Metric {
    name: "shop_wal_archive_lag_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Age of the oldest commit that is not in the WAL archive yet (SQLite, `SHOP_BACKUP_WAL`).",
};

pub(in crate::server) static JOBS: Metric = Metric {
    name: "shop_jobs",
    kind: MetricKind::Gauge,
    labels: &["kind", "state"],
    help: "Background jobs by kind and state, `waiting` or `dead`.",
};

pub(in crate::server) static JOB_OLDEST: Metric = Metric {
    name: "shop_job_oldest_waiting_seconds",
    kind: MetricKind::Gauge,
    labels: &["kind"],
    help: "Age of the oldest waiting job of a kind; 0 if none waits.",
};

pub(in crate::server) static ORDERS: Metric = Metric {
    name: "shop_orders",
    kind: MetricKind::Gauge,
    labels: &["status"],
    help: "Orders by status.",
};

pub(in crate::server) static PAYMENTS_UNMATCHED: Metric = Metric {
    name: "shop_payments_unmatched",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Payments that match no order and wait for an admin.",
};

pub(in crate::server) static DISK_FREE: Metric = Metric {
    name: "shop_disk_free_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Free space of the file system with the data directory.",
};

pub(in crate::server) static DISK_SIZE: Metric = Metric {
    name: "shop_disk_size_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Size of that file system.",
};

pub static LOG_LINES_DROPPED: Metric = Metric {
    name: "shop_log_lines_dropped_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Lines of the log that were dropped, since stderr was read too slowly.",
};

pub(in crate::server) static BACKUP_NEWEST: Metric = Metric {
    name: "shop_backup_newest_timestamp_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "When the newest backup in the place was made, in seconds since 1970; 0 if there is none.",
};

pub(in crate::server) static BACKUP_INTERVAL: Metric = Metric {
    name: "shop_backup_interval_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Time between two scheduled backups (`SHOP_BACKUP_EVERY`).",
};

pub(in crate::server) static BACKUP_FAILED: Metric = Metric {
    name: "shop_backup_failed",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "1 if the last attempt of any instance to make a scheduled backup failed.",
};

pub static BACKUP_FAILURES: Metric = Metric {
    name: "shop_backup_failures_total",
    kind: MetricKind::Counter,
    labels: &[],
    help: "Failed attempts of this instance to make a scheduled backup.",
};

pub(in crate::server) static TLS_CERTIFICATE_EXPIRY: Metric = Metric {
    name: "shop_tls_certificate_expiry_timestamp_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "When the certificate in use expires, in seconds since 1970.",
};

pub(in crate::server) static SCRAPE_FAILED: Metric = Metric {
    name: "shop_scrape_failed",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "1 if the database could not be read: jobs, orders and payments are those of the last read.",
};

pub(in crate::server) static BUILD_INFO: Metric = Metric {
    name: "shop_build_info",
    kind: MetricKind::Gauge,
    labels: &["version", "engine", "schema"],
    help: "Always 1, with the version of the program, the database engine and the schema version.",
};

pub(in crate::server) static PROCESS_START: Metric = Metric {
    name: "process_start_time_seconds",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Start of the process, in seconds since 1970.",
};

pub(in crate::server) static PROCESS_CPU: Metric = Metric {
    name: "process_cpu_seconds_total",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "CPU time of the process, user and system (Linux). A gauge, since it has decimals.",
};

pub(in crate::server) static PROCESS_MEMORY: Metric = Metric {
    name: "process_resident_memory_bytes",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Resident memory of the process (Linux).",
};

pub(in crate::server) static PROCESS_FILES: Metric = Metric {
    name: "process_open_fds",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Open file descriptors of the process (Linux).",
};

pub(in crate::server) static PROCESS_MAX_FILES: Metric = Metric {
    name: "process_max_fds",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Limit of open file descriptors (Linux).",
};

static SERVER: &[&Metric] = &[
    &HTTP_REQUESTS,
    &HTTP_REQUEST_DURATION,
    &HTTP_CONNECTIONS,
    &LIVE_CONNECTIONS,
    &ACCESS_TOKENS_CACHED,
    &RESPONSE_CACHE_REQUESTS,
    &RESPONSE_CACHE_SIZE,
    &WRITE_QUEUE_LENGTH,
    &WRITE_QUEUE_CAPACITY,
    &WAL_SIZE,
    &WAL_ARCHIVE_LAG,
    &JOBS,
    &JOB_OLDEST,
    &ORDERS,
    &PAYMENTS_UNMATCHED,
    &DISK_FREE,
    &DISK_SIZE,
    &LOG_LINES_DROPPED,
    &BACKUP_NEWEST,
    &BACKUP_INTERVAL,
    &BACKUP_FAILED,
    &BACKUP_FAILURES,
    &TLS_CERTIFICATE_EXPIRY,
    &SCRAPE_FAILED,
    &BUILD_INFO,
    &PROCESS_START,
    &PROCESS_CPU,
    &PROCESS_MEMORY,
    &PROCESS_FILES,
    &PROCESS_MAX_FILES,
];

/// Returns every metric.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    SERVER.iter().chain(STORAGE).copied()
}
