//! How often one account may try what could be guessed or cost somebody: counted in the database, for
//! all instances together. A window ends by itself, so that nobody is locked out for good.

use std::time::Duration;

use super::{Email, digest, store};
use crate::{
    db::Tx,
    error::{Error, Kind, Result},
    id::UserId,
};

/// How much of something one account may do within a window.
#[derive(Debug)]
pub struct Allowance {
    /// As `shop config` tells it.
    pub what: &'static str,
    pub most: i64,
    pub window: Duration,
    detail: &'static str,
}

/// Wrong passwords for an address that is typed, known or not, whoever types it and wherever.
pub(super) static PASSWORDS: Allowance = Allowance {
    what: "wrong passwords",
    most: 20,
    window: Duration::from_mins(15),
    detail: "too many wrong passwords for this address; wait, or reset the password",
};

/// Mails with a link to an address.
pub(super) static MAILS: Allowance = Allowance {
    what: "mails with a link",
    most: 5,
    window: Duration::from_hours(1),
    detail: "too many mails for this address; look into the ones that came, or wait",
};

/// Codes to a phone.
pub(super) static CODES: Allowance = Allowance {
    what: "codes to a phone",
    most: 5,
    window: Duration::from_hours(1),
    detail: "too many codes were asked for; wait",
};

/// All of them.
pub static ALLOWANCES: [&Allowance; 3] = [&PASSWORDS, &MAILS, &CODES];

impl Allowance {
    /// What is counted of an address.
    pub fn of_email(&'static self, email: &Email) -> Counted {
        self.of(email.key())
    }

    /// What is counted of an account.
    pub fn of_user(&'static self, user: UserId) -> Counted {
        self.of(&user.to_string())
    }

    fn of(&'static self, whose: &str) -> Counted {
        Counted {
            allowance: self,
            key: digest(&format!("{}: {whose}", self.what)),
        }
    }
}

/// Something that is counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    allowance: &'static Allowance,
    key: [u8; 32],
}

impl Counted {
    /// Counts a try before it is looked at, so that many at once are no way around the limit; tells
    /// whether there was room for it.
    pub fn has_room(&self, tx: &mut Tx<'_>) -> Result<bool> {
        let Allowance { most, window, .. } = *self.allowance;
        let span = (tx.now().minus(window), tx.now().plus(window));
        store::tries::count(tx, &self.key, span, most)
    }

    /// As [`Counted::has_room`], where no room is an error.
    pub fn count(&self, tx: &mut Tx<'_>) -> Result<()> {
        if self.has_room(tx)? {
            return Ok(());
        }
        let Allowance { window, detail, .. } = *self.allowance;
        let since = store::tries::since(tx, &self.key)?.unwrap_or_else(|| tx.now());
        let left = since.plus(window).0 - tx.now().0;
        let retry_after = Duration::from_millis(left.max(1000).unsigned_abs());
        Err(Error::new(Kind::TooManyRequests { retry_after }, detail))
    }

    /// Takes a counted try back, which was right.
    pub fn forgive(&self, tx: &mut Tx<'_>) -> Result<()> {
        store::tries::forgive(tx, &self.key)
    }
}

/// Forgets the tries whose window is over; tells for how many.
pub fn forget_tries(tx: &mut Tx<'_>) -> Result<u64> {
    let longest = ALLOWANCES.iter().map(|allowance| allowance.window).max();
    let before = tx.now().minus(longest.unwrap_or_default());
    store::tries::forget(tx, before)
}
