//! Links in mails: one proves an address, another sets a new password. Their tokens are 256 random
//! bits, kept as hashes, valid once and for a limited time. Each attempt to send a mail makes a token of its
//! own, whose hash is committed before; the tokens of earlier attempts stay valid, since those may have
//! arrived, and the use of one ends all. A link begins with the shop's public URL, never with what a
//! request says of its host, and holds the token in its fragment, which browsers send to nobody.

use std::time::Duration;

use serde_json::json;

use super::{
    Email, Network, PasswordHash, User, attempt_limits, digest, networks, new_secret,
    sign_out_everywhere, store,
};
use crate::{
    app::App,
    core::{
        error::{Error, Kind, Result},
        id::UserId,
    },
    infra::db::Tx,
};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Verify,
    Reset,
}

impl Purpose {
    const ALL: [Purpose; 2] = [Purpose::Verify, Purpose::Reset];

    pub fn parse(text: &str) -> Option<Purpose> {
        let mut all = Purpose::ALL.into_iter();
        all.find(|purpose| purpose.as_str() == text)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Purpose::Verify => "verify",
            Purpose::Reset => "reset",
        }
    }

    fn page(self) -> &'static str {
        match self {
            Purpose::Verify => "verify-email",
            Purpose::Reset => "reset-password",
        }
    }

    /// How long a link is good.
    fn lifetime(self) -> Duration {
        match self {
            Purpose::Verify => Duration::from_hours(24),
            Purpose::Reset => Duration::from_hours(1),
        }
    }
}

fn useless() -> Error {
    let detail = "the link is unknown, used or expired; ask for a new one";
    Error::new(Kind::Refused("invalid-token"), detail)
}

/// Makes a link that only the account's owner may read. Its mail is rendered with it right away, or it
/// is handed to an operator; it is stored nowhere.
pub fn new_link(tx: &mut Tx<'_>, app: &App, user: UserId, purpose: Purpose) -> Result<String> {
    let token = new_secret(tx);
    let expires = tx.now().plus(purpose.lifetime());
    store::links::insert(tx, &digest(&token), user, purpose, expires)?;
    let (public, page) = (&app.public_url, purpose.page());
    Ok(format!("{public}/{page}#token={token}"))
}

/// A link that sets a new password, for whoever an operator hands it to. Errors: `Unavailable` where the
/// account is disabled.
pub fn reset_link(tx: &mut Tx<'_>, app: &App, user: UserId) -> Result<String> {
    if store::password(tx, user)?.is_none() {
        let detail = "the account is disabled; enable it first: `shop admin user enable EMAIL`";
        return Err(Error::unavailable(detail));
    }
    new_link(tx, app, user, Purpose::Reset)
}

/// Mails a link to the account's owner; the template has the name of the purpose.
fn mail_link(tx: &mut Tx<'_>, user: &User, purpose: Purpose) -> Result<()> {
    let (name, data) = (purpose.as_str(), json!({ "name": user.name }));
    tx.mail_with_link(&user.email, name, &data, (name, user.id))
}

/// Mails the link that proves the account's address.
pub fn send_verification(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    mail_link(tx, user, Purpose::Verify)
}

/// Makes every link of the account with that purpose useless, and deletes the mails that have not
/// brought theirs yet.
fn withdraw(tx: &mut Tx<'_>, user: UserId, purpose: Purpose) -> Result<()> {
    // In this order: a mail that is just being sent has its token once its row is free.
    tx.withdraw_mails(purpose.as_str(), user)?;
    store::links::delete_of(tx, user, purpose)
}

/// As [`withdraw`], for links of every purpose.
pub(super) fn withdraw_all(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    Purpose::ALL
        .into_iter()
        .try_for_each(|purpose| withdraw(tx, user, purpose))
}

/// As [`send_verification`], asked for once more; nothing where the address is proven already.
pub(super) fn resend_verification(
    tx: &mut Tx<'_>,
    app: &App,
    user: UserId,
    from: Network,
) -> Result<()> {
    let user = super::user_by_id(tx, user)?;
    if user.is_email_verified {
        return Ok(());
    }
    if app.limits.are_on() {
        attempt_limits::count_verification_mail(tx, user.id, from)?;
    }
    send_verification(tx, &user)
}

/// Proves the address of whoever has the token.
pub fn verify_email(tx: &mut Tx<'_>, token: &str) -> Result<User> {
    let user = store::links::owner(tx, &digest(token), Purpose::Verify)?.ok_or_else(useless)?;
    prove_address(tx, user)?;
    super::user_by_id(tx, user)
}

fn prove_address(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    store::set_email_verified(tx, user)?;
    withdraw(tx, user, Purpose::Verify)
}

/// Mails the link that sets a new password, if there is an account with that address and not too many
/// such mails went there. Nobody is told which.
pub fn forget_password(tx: &mut Tx<'_>, app: &App, email: &Email, from: Network) -> Result<()> {
    // Counted for unknown addresses as well: the answer takes a write, one way or the other.
    let has_room = attempt_limits::try_reset_mail(tx, email, from)?;
    let Some(user) = store::enabled_by_email(tx, email.key())? else {
        return Ok(());
    };
    if app.limits.are_on() && !has_room {
        return Ok(());
    }
    mail_link(tx, &user, Purpose::Reset)
}

/// Whose password the token may set.
pub fn owner_of_reset(tx: &mut Tx<'_>, token: &str) -> Result<User> {
    let user = store::links::owner(tx, &digest(token), Purpose::Reset)?.ok_or_else(useless)?;
    super::user_by_id(tx, user)
}

/// Sets a new password by a token: every session ends, and the address is proven, since the link was
/// mailed there. Whoever tried to guess the old password is forgotten, as are the networks that the
/// account knew, except the one that the reset came from.
pub fn reset_password(
    tx: &mut Tx<'_>,
    app: &App,
    token: &str,
    hash: &PasswordHash,
    from: Network,
) -> Result<()> {
    let user = owner_of_reset(tx, token)?;
    prove_address(tx, user.id)?;
    change_password(tx, &user, hash)?;
    sign_out_everywhere(tx, user.id)?;
    networks::remember_only(tx, app, user.id, from)?;
    attempt_limits::clear_logins(tx, &user.address()?)
}

/// Sets a password, tells the account's owner, and makes useless whatever else could set one.
pub(super) fn change_password(tx: &mut Tx<'_>, user: &User, hash: &PasswordHash) -> Result<()> {
    store::set_password(tx, user.id, hash.as_str())?;
    withdraw(tx, user.id, Purpose::Reset)?;
    tx.mail(
        &user.email,
        "password-changed",
        &json!({ "name": user.name }),
    )
}

/// Forgets the links that are too old.
pub fn forget_links(tx: &mut Tx<'_>) -> Result<u64> {
    store::links::forget(tx)
}
