//! Limits on attempts that could be guesses, or that cost somebody something: counted in the database,
//! for all instances together. A window ends by itself, so that nobody is locked out for good.

use std::time::Duration;

use super::{Email, Network, Phone, digest, store};
use crate::{
    core::{
        error::{Error, Kind, Result},
        id::{SessionId, UserId},
    },
    infra::db::Tx,
};

/// How many attempts of one kind are allowed within a window.
#[derive(Debug)]
pub struct AttemptLimit {
    /// What is counted, as `shop config` shows it.
    pub what: &'static str,
    /// What each count belongs to, as `shop config` shows it.
    pub per: &'static str,
    pub max: i64,
    pub window: Duration,
    detail: &'static str,
}

const QUARTER: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);

const WRONG_PASSWORDS: &str =
    "too many wrong passwords for this address; wait, or reset the password";
const MAILS: &str = "too many mails for this address; look into the ones that came, or wait";
const CODES: &str = "too many codes were requested; wait";

static LOGINS_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "wrong passwords",
    per: "email address and client network",
    max: 10,
    window: QUARTER,
    detail: WRONG_PASSWORDS,
};

static LOGINS: AttemptLimit = AttemptLimit {
    what: "wrong passwords over all networks",
    per: "email address; networks that the account knows are exempt",
    max: 60,
    window: QUARTER,
    detail: WRONG_PASSWORDS,
};

static PASSWORD_CHANGES: AttemptLimit = AttemptLimit {
    what: "wrong current passwords",
    per: "session",
    max: 10,
    window: QUARTER,
    detail: "too many wrong passwords in this session; wait, or reset the password",
};

static RESET_MAILS_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "password-reset mails",
    per: "email address and client network",
    max: 5,
    window: HOUR,
    detail: MAILS,
};

static RESET_MAILS: AttemptLimit = AttemptLimit {
    what: "password-reset mails over all networks",
    per: "email address",
    max: 20,
    window: HOUR,
    detail: MAILS,
};

static VERIFICATION_MAILS_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "verification mails",
    per: "account and client network",
    max: 5,
    window: HOUR,
    detail: MAILS,
};

static VERIFICATION_MAILS: AttemptLimit = AttemptLimit {
    what: "verification mails over all networks",
    per: "account",
    max: 20,
    window: HOUR,
    detail: MAILS,
};

static CODES_BY_ACCOUNT: AttemptLimit = AttemptLimit {
    what: "codes to a phone",
    per: "account",
    max: 5,
    window: HOUR,
    detail: CODES,
};

static CODES_BY_NUMBER: AttemptLimit = AttemptLimit {
    what: "codes to one phone",
    per: "phone number",
    max: 5,
    window: HOUR,
    detail: CODES,
};

static CODES_BY_NETWORK: AttemptLimit = AttemptLimit {
    what: "codes to phones",
    per: "client network",
    max: 20,
    window: HOUR,
    detail: CODES,
};

/// All of them.
pub static ATTEMPT_LIMITS: [&AttemptLimit; 10] = [
    &LOGINS_BY_NETWORK,
    &LOGINS,
    &PASSWORD_CHANGES,
    &RESET_MAILS_BY_NETWORK,
    &RESET_MAILS,
    &VERIFICATION_MAILS_BY_NETWORK,
    &VERIFICATION_MAILS,
    &CODES_BY_ACCOUNT,
    &CODES_BY_NUMBER,
    &CODES_BY_NETWORK,
];

/// The count of one kind of attempt by one network, account, number …
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    limit: &'static AttemptLimit,
    key: [u8; 32],
    /// The address whose counters a password reset clears.
    subject: Option<[u8; 32]>,
}

impl Counter {
    fn new(limit: &'static AttemptLimit, whose: &str) -> Counter {
        Counter {
            limit,
            key: digest(&format!("{}: {whose}", limit.what)),
            subject: None,
        }
    }

    fn of_logins(limit: &'static AttemptLimit, email: &Email, whose: &str) -> Counter {
        Counter {
            subject: Some(digest(email.key())),
            ..Counter::new(limit, whose)
        }
    }

    /// Counts an attempt before it is made, so that parallel attempts do not get past the limit. Returns
    /// whether there was room; where there was none, nothing is written.
    pub(super) fn try_acquire(&self, tx: &mut Tx<'_>) -> Result<bool> {
        let AttemptLimit { max, window, .. } = *self.limit;
        let span = (tx.now().minus(window), tx.now().plus(window));
        let subject = self.subject.as_ref().map(<[u8; 32]>::as_slice);
        store::attempts::count(tx, &self.key, subject, span, max)
    }

    /// As [`Counter::try_acquire`]. Errors: `TooManyRequests` where there is no room.
    pub(super) fn acquire(&self, tx: &mut Tx<'_>) -> Result<()> {
        if self.try_acquire(tx)? {
            return Ok(());
        }
        Err(self.refusal(tx)?)
    }

    /// The error for an attempt that found no room.
    fn refusal(&self, tx: &mut Tx<'_>) -> Result<Error> {
        let AttemptLimit { window, detail, .. } = *self.limit;
        let since = store::attempts::since(tx, &self.key)?.unwrap_or_else(|| tx.now());
        let left = since.plus(window).0 - tx.now().0;
        let retry_after = Duration::from_millis(left.max(1000).unsigned_abs());
        Ok(Error::new(Kind::TooManyRequests { retry_after }, detail))
    }

    /// Takes one counted attempt back.
    fn release(&self, tx: &mut Tx<'_>) -> Result<()> {
        store::attempts::release(tx, &self.key)
    }

    /// Starts the count again from zero.
    pub(super) fn clear(&self, tx: &mut Tx<'_>) -> Result<()> {
        store::attempts::delete(tx, &self.key)
    }

    /// Wrong current passwords of one session.
    pub(super) fn of_password_changes(session: SessionId) -> Counter {
        Counter::new(&PASSWORD_CHANGES, &session.to_string())
    }
}

/// A login that has been counted, and whose password is still to be checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoginAttempt {
    by_network: Counter,
    /// `None` where the count over all networks had no room, and the account knows the network.
    over_all: Option<Counter>,
}

impl LoginAttempt {
    /// Counts a login, for known and unknown addresses alike. `knows_network` is asked only when the
    /// limit over all networks is reached. The inner error is `TooManyRequests`.
    pub(super) fn begin(
        tx: &mut Tx<'_>,
        email: &Email,
        from: Network,
        knows_network: impl FnOnce(&mut Tx<'_>) -> Result<bool>,
    ) -> Result<Result<LoginAttempt>> {
        let whose = format!("{} {from}", email.key());
        let by_network = Counter::of_logins(&LOGINS_BY_NETWORK, email, &whose);
        let over_all = Counter::of_logins(&LOGINS, email, email.key());
        if !by_network.try_acquire(tx)? {
            return by_network.refusal(tx).map(Err);
        }
        if over_all.try_acquire(tx)? {
            let over_all = Some(over_all);
            return Ok(Ok(LoginAttempt {
                by_network,
                over_all,
            }));
        }
        if knows_network(tx)? {
            let over_all = None;
            return Ok(Ok(LoginAttempt {
                by_network,
                over_all,
            }));
        }
        // By hand: an error here would roll back what other jobs of the same group have written.
        by_network.release(tx)?;
        over_all.refusal(tx).map(Err)
    }

    /// The password was right.
    pub(super) fn succeed(&self, tx: &mut Tx<'_>) -> Result<()> {
        self.by_network.clear(tx)?;
        self.over_all.map_or(Ok(()), |counter| counter.release(tx))
    }
}

/// Clears all counts of wrong passwords for an address.
pub(super) fn clear_logins(tx: &mut Tx<'_>, email: &Email) -> Result<()> {
    store::attempts::delete_of_subject(tx, &digest(email.key()))
}

/// Counts a password-reset mail, for known and unknown addresses alike. Returns whether one may be sent.
pub(super) fn try_reset_mail(tx: &mut Tx<'_>, email: &Email, from: Network) -> Result<bool> {
    let whose = format!("{} {from}", email.key());
    Ok(
        Counter::new(&RESET_MAILS_BY_NETWORK, &whose).try_acquire(tx)?
            && Counter::new(&RESET_MAILS, email.key()).try_acquire(tx)?,
    )
}

/// Counts a verification mail. Errors: `TooManyRequests`.
pub(super) fn count_verification_mail(tx: &mut Tx<'_>, user: UserId, from: Network) -> Result<()> {
    Counter::new(&VERIFICATION_MAILS_BY_NETWORK, &format!("{user} {from}")).acquire(tx)?;
    Counter::new(&VERIFICATION_MAILS, &user.to_string()).acquire(tx)
}

/// Counts a code that is sent to a phone. Errors: `TooManyRequests`.
pub(super) fn count_code(
    tx: &mut Tx<'_>,
    user: UserId,
    phone: &Phone,
    from: Network,
) -> Result<()> {
    Counter::new(&CODES_BY_ACCOUNT, &user.to_string()).acquire(tx)?;
    Counter::new(&CODES_BY_NUMBER, phone.as_str()).acquire(tx)?;
    Counter::new(&CODES_BY_NETWORK, &from.to_string()).acquire(tx)
}

/// Deletes the counts whose window is over; returns how many.
pub fn delete_expired_attempts(tx: &mut Tx<'_>) -> Result<u64> {
    let longest = ATTEMPT_LIMITS.iter().map(|limit| limit.window).max();
    let before = tx.now().minus(longest.unwrap_or_default());
    store::attempts::delete_before(tx, before)
}
