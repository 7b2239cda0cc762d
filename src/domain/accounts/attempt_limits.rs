//! Rate limits on logins and on requests that send emails or phone codes.
//!
//! Attempts are counted in the database, so that all instances share the counts. Each limit has a fixed
//! window: when it ends, the count starts again, so that nobody is locked out permanently.

use std::time::Duration;

use super::{email::Email, phone::Phone, secret::digest, store};
use crate::{
    core::{
        error::{Error, Kind, Result},
        id::{SessionId, UserId},
    },
    infra::{db::Tx, web::client::Network},
};

/// The maximum number of attempts of one kind within a window.
#[derive(Debug)]
pub struct AttemptLimit {
    /// What is counted, as shown by `shop config`. Part of the counters' keys.
    pub what: &'static str,
    /// What each counter belongs to, as shown by `shop config`.
    pub per: &'static str,
    pub max: i64,
    pub window: Duration,
    detail: &'static str,
}

const QUARTER_HOUR: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);

const WRONG_PASSWORDS: &str =
    "too many wrong passwords for this address; wait, or reset the password";
const EMAILS: &str = "too many emails to this address; check your inbox, or wait";
const CODES: &str = "too many codes were requested; wait";

static LOGINS_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "wrong passwords",
    per: "email address and client network",
    max: 10,
    window: QUARTER_HOUR,
    detail: WRONG_PASSWORDS,
};

static LOGINS: AttemptLimit = AttemptLimit {
    what: "wrong passwords over all networks",
    per: "email address; known networks of the account are exempt",
    max: 60,
    window: QUARTER_HOUR,
    detail: WRONG_PASSWORDS,
};

static PASSWORD_CHANGES: AttemptLimit = AttemptLimit {
    what: "wrong current passwords",
    per: "session",
    max: 10,
    window: QUARTER_HOUR,
    detail: "too many wrong passwords in this session; wait, or reset the password",
};

static RESET_EMAILS_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "password-reset emails",
    per: "email address and client network",
    max: 5,
    window: HOUR,
    detail: EMAILS,
};

static RESET_EMAILS: AttemptLimit = AttemptLimit {
    what: "password-reset emails over all networks",
    per: "email address",
    max: 20,
    window: HOUR,
    detail: EMAILS,
};

static VERIFICATION_EMAILS_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "verification emails",
    per: "account and client network",
    max: 5,
    window: HOUR,
    detail: EMAILS,
};

static VERIFICATION_EMAILS: AttemptLimit = AttemptLimit {
    what: "verification emails over all networks",
    per: "account",
    max: 20,
    window: HOUR,
    detail: EMAILS,
};

static CODES_BY_ACCOUNT: AttemptLimit = AttemptLimit {
    what: "phone codes",
    per: "account",
    max: 5,
    window: HOUR,
    detail: CODES,
};

static CODES_BY_NUMBER: AttemptLimit = AttemptLimit {
    what: "phone codes to one number",
    per: "phone number",
    max: 5,
    window: HOUR,
    detail: CODES,
};

static CODES_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "phone codes from one network",
    per: "client network",
    max: 20,
    window: HOUR,
    detail: CODES,
};

/// All limits, in the order in which `shop config` shows them.
pub static ATTEMPT_LIMITS: [&AttemptLimit; 10] = [
    &LOGINS_BY_NETWORK,
    &LOGINS,
    &PASSWORD_CHANGES,
    &RESET_EMAILS_BY_NETWORK,
    &RESET_EMAILS,
    &VERIFICATION_EMAILS_BY_NETWORK,
    &VERIFICATION_EMAILS,
    &CODES_BY_ACCOUNT,
    &CODES_BY_NUMBER,
    &CODES_BY_NETWORK,
];

/// The counter of one limit for one account, address, phone number or network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    limit: &'static AttemptLimit,
    key: [u8; 32],
    /// Digest of the email address whose counters a password reset clears.
    subject: Option<[u8; 32]>,
}

impl Counter {
    fn new(limit: &'static AttemptLimit, owner: &str) -> Counter {
        Counter {
            limit,
            key: digest(&format!("{}: {owner}", limit.what)),
            subject: None,
        }
    }

    fn for_logins(limit: &'static AttemptLimit, email: &Email, owner: &str) -> Counter {
        Counter {
            subject: Some(digest(email.key())),
            ..Counter::new(limit, owner)
        }
    }

    /// Counts an attempt before it is made, so that concurrent attempts cannot exceed the limit. Returns
    /// `false`, and counts nothing, if the limit is reached.
    pub(super) fn try_acquire(&self, tx: &mut Tx<'_>) -> Result<bool> {
        let AttemptLimit { max, window, .. } = *self.limit;
        let window_starts = (tx.now().minus(window), tx.now().plus(window));
        let subject = self.subject.as_ref().map(<[u8; 32]>::as_slice);
        store::attempt_counters::count(tx, &self.key, subject, window_starts, max)
    }

    /// Like [`Counter::try_acquire`]. Errors: `TooManyRequests` if the limit is reached.
    pub(super) fn acquire(&self, tx: &mut Tx<'_>) -> Result<()> {
        if self.try_acquire(tx)? {
            return Ok(());
        }
        Err(self.limit_reached(tx)?)
    }

    /// Returns the error for an attempt beyond the limit.
    fn limit_reached(&self, tx: &mut Tx<'_>) -> Result<Error> {
        let AttemptLimit { window, detail, .. } = *self.limit;
        let window_start =
            store::attempt_counters::window_start(tx, &self.key)?.unwrap_or_else(|| tx.now());
        let left = window_start.plus(window).0 - tx.now().0;
        let retry_after = Duration::from_millis(left.max(1000).unsigned_abs());
        Ok(Error::new(Kind::TooManyRequests { retry_after }, detail))
    }

    /// Decrements the counter.
    fn release(&self, tx: &mut Tx<'_>) -> Result<()> {
        store::attempt_counters::release(tx, &self.key)
    }

    /// Resets the counter to zero.
    pub(super) fn clear(&self, tx: &mut Tx<'_>) -> Result<()> {
        store::attempt_counters::delete(tx, &self.key)
    }

    /// Returns the counter of wrong current passwords in one session.
    pub(super) fn for_password_changes(session: SessionId) -> Counter {
        Counter::new(&PASSWORD_CHANGES, &session.to_string())
    }
}

/// A login that was counted, before its password is verified.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoginAttempt {
    by_network: Counter,
    /// `None` if that limit was reached, but the account knows the network.
    all_networks: Option<Counter>,
}

impl LoginAttempt {
    /// Counts a login, whether or not the address belongs to an account. Calls `is_known_network` only if the
    /// limit over all networks is reached. The inner error is `TooManyRequests`.
    pub(super) fn begin(
        tx: &mut Tx<'_>,
        email: &Email,
        from: Network,
        is_known_network: impl FnOnce(&mut Tx<'_>) -> Result<bool>,
    ) -> Result<Result<LoginAttempt>> {
        let owner = format!("{} {from}", email.key());
        let by_network = Counter::for_logins(&LOGINS_BY_NETWORK, email, &owner);
        let all_networks = Counter::for_logins(&LOGINS, email, email.key());
        if !by_network.try_acquire(tx)? {
            return by_network.limit_reached(tx).map(Err);
        }
        if all_networks.try_acquire(tx)? {
            let all_networks = Some(all_networks);
            return Ok(Ok(LoginAttempt {
                by_network,
                all_networks,
            }));
        }
        if is_known_network(tx)? {
            let all_networks = None;
            return Ok(Ok(LoginAttempt {
                by_network,
                all_networks,
            }));
        }
        // Undone explicitly: an error would roll back other writes of the same group commit.
        by_network.release(tx)?;
        all_networks.limit_reached(tx).map(Err)
    }

    /// Clears the counts after a correct password.
    pub(super) fn succeed(&self, tx: &mut Tx<'_>) -> Result<()> {
        self.by_network.clear(tx)?;
        self.all_networks
            .map_or(Ok(()), |counter| counter.release(tx))
    }
}

/// Clears all counts of wrong passwords for an email address.
pub(super) fn clear_logins(tx: &mut Tx<'_>, email: &Email) -> Result<()> {
    store::attempt_counters::delete_of_subject(tx, &digest(email.key()))
}

/// Counts a password-reset email, whether or not the address belongs to an account. Returns whether it may be
/// sent.
pub(super) fn try_count_reset_email(tx: &mut Tx<'_>, email: &Email, from: Network) -> Result<bool> {
    let owner = format!("{} {from}", email.key());
    Ok(
        Counter::new(&RESET_EMAILS_BY_NETWORK, &owner).try_acquire(tx)?
            && Counter::new(&RESET_EMAILS, email.key()).try_acquire(tx)?,
    )
}

/// Counts a verification email. Errors: `TooManyRequests`.
pub(super) fn count_verification_email(tx: &mut Tx<'_>, user: UserId, from: Network) -> Result<()> {
    Counter::new(&VERIFICATION_EMAILS_BY_NETWORK, &format!("{user} {from}")).acquire(tx)?;
    Counter::new(&VERIFICATION_EMAILS, &user.to_string()).acquire(tx)
}

/// Counts a phone code. Errors: `TooManyRequests`.
pub(super) fn count_phone_code(
    tx: &mut Tx<'_>,
    user: UserId,
    phone: &Phone,
    from: Network,
) -> Result<()> {
    Counter::new(&CODES_BY_ACCOUNT, &user.to_string()).acquire(tx)?;
    Counter::new(&CODES_BY_NUMBER, phone.as_str()).acquire(tx)?;
    Counter::new(&CODES_BY_NETWORK, &from.to_string()).acquire(tx)
}

/// Deletes the counters whose window has ended.
pub(super) fn delete_expired(tx: &mut Tx<'_>) -> Result<()> {
    let longest = ATTEMPT_LIMITS.iter().map(|limit| limit.window).max();
    let before = tx.now().minus(longest.unwrap_or_default());
    store::attempt_counters::delete_before(tx, before)
}
