//! Certificates by ACME: `order.rs` orders one, `challenge.rs` proves that the domains are the shop's, `store.rs`
//! keeps what instances share. One instance orders at a time; the others install what it stored.

mod challenge;
mod order;
mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

pub(in crate::server) use self::store::{ACCOUNT, CERTIFICATE};
pub(super) use self::{challenge::is_challenge, store::Store};
use self::{order::StoredCertificate, store::RETRY};
use super::{certificate::Certificate, source::Current};
use crate::{
    app::App,
    core::{
        clock::Clock,
        error::{Error, Result},
    },
    infra::db,
};

/// The maximum duration of an order.
const ORDER_TIMEOUT: Duration = Duration::from_mins(4);

/// The minimum time between two orders over all instances: longer than an order takes.
const ORDER_INTERVAL: Duration = Duration::from_mins(5);

/// The longest pause after a failed order. Let's Encrypt allows five failures an hour.
const MAX_PAUSE: Duration = Duration::from_hours(6);

/// How often an instance looks for a certificate that another one stored.
const POLL_INTERVAL: Duration = Duration::from_secs(15);

/// Orders and renews the certificate of some domains.
#[derive(Debug)]
pub(super) struct Acme {
    pub(super) domains: Vec<String>,
    pub(super) directory: String,
    pub(super) email: Option<String>,
    pub(super) store: Store,
    pub(super) clock: Clock,
}

/// When the next order may be tried after one that failed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Retry {
    failures: u32,
    /// In milliseconds since the Unix epoch.
    not_before: i64,
}

/// What one instance knows.
#[derive(Default)]
struct Progress {
    /// The chain that is installed.
    chain: String,
    /// Whether this process has ordered. Its first order does not wait: the operator may have repaired something.
    has_ordered: bool,
}

impl Acme {
    /// Installs what is stored, and orders what is missing or due, until the server stops.
    pub(super) async fn run(&self, app: &App, current: &Current) {
        let mut progress = Progress::default();
        loop {
            if let Err(error) = self.step(app, current, &mut progress).await {
                tracing::warn!(detail = error.detail(), "ACME failed; retrying later");
            }
            let pause = tokio::time::sleep(POLL_INTERVAL);
            if app.stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    async fn step(&self, app: &App, current: &Current, progress: &mut Progress) -> Result<()> {
        if self.install_stored(current, progress).await? {
            return Ok(());
        }
        let retry: Retry = self.store.get(RETRY).await?.unwrap_or_default();
        let now = self.clock.now();
        // A time further ahead than any pause was written before the clock was set back.
        let is_waiting = now.0 < retry.not_before && retry.not_before <= now.plus(MAX_PAUSE).0;
        if is_waiting && progress.has_ordered {
            return Ok(());
        }
        let claim = |tx: &mut db::Tx<'_>| db::try_claim_timer(tx, "acme", ORDER_INTERVAL);
        if !app.db.write("acme.claim", claim).await? {
            return Ok(());
        }
        progress.has_ordered = true;
        tracing::info!(domains = self.domains.join(","), "ordering a certificate");
        let ordered = match timeout(ORDER_TIMEOUT, self.order()).await {
            Ok(ordered) => ordered,
            Err(_) => Err(Error::unavailable("the order took too long")),
        };
        match ordered {
            Ok(()) => {
                self.install_stored(current, progress).await?;
                self.store.put(RETRY, &Retry::default()).await?;
            }
            Err(error) => self.record_failure(&retry, &error).await?,
        }
        Ok(())
    }

    /// Returns the stored certificate, if there is one.
    pub(super) async fn stored(&self) -> Result<Option<Certificate>> {
        let stored = self.store.get::<StoredCertificate>(CERTIFICATE).await?;
        stored.map(|stored| stored.parse()).transpose()
    }

    /// Installs the stored certificate. Returns whether none has to be ordered.
    async fn install_stored(&self, current: &Current, progress: &mut Progress) -> Result<bool> {
        let Some(stored) = self.store.get::<StoredCertificate>(CERTIFICATE).await? else {
            return Ok(false);
        };
        let certificate = stored.parse()?;
        let is_current = stored.domains == self.domains
            && stored.directory == self.directory
            && self.clock.now() < certificate.renew_at();
        if stored.chain != progress.chain {
            tracing::info!(until = %certificate.not_after, "the certificate is installed");
            current.set(certificate);
            progress.chain = stored.chain;
        }
        Ok(is_current)
    }

    async fn record_failure(&self, retry: &Retry, error: &Error) -> Result<()> {
        let doublings = retry.failures.min(10);
        let pause = (ORDER_INTERVAL * (1 << doublings)).min(MAX_PAUSE);
        let minutes = pause.as_secs() / 60;
        tracing::error!(
            directory = self.directory,
            detail = error.detail(),
            "could not get a certificate by ACME; retrying in {minutes} min"
        );
        let next = Retry {
            failures: retry.failures + 1,
            not_before: self.clock.now().plus(pause).0,
        };
        self.store.put(RETRY, &next).await
    }
}
