//! Reads of accounts and their sessions.

use super::{email::Email, session::Session, store, user::User};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
        id::UserId,
        pagination::{Page, PageRequest},
    },
    infra::db::{Prefetched, Tx},
};

/// Returns the account with this id. Errors: `NotFound`.
pub fn user_by_id(tx: &mut Tx<'_>, id: UserId) -> Result<User> {
    store::users::by_id(tx, id)?.ok_or_else(|| Error::not_found("user"))
}

/// Returns the account with this email address, in any spelling. Errors: `NotFound`.
pub fn user_by_email(tx: &mut Tx<'_>, email: &Email) -> Result<User> {
    store::users::by_email(tx, email.key())?.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            format!("no account has the email address `{}`", email.as_str()),
        )
    })
}

/// Returns the email address and the name of an account. Errors: `NotFound`.
pub fn address(tx: &mut Tx<'_>, id: UserId) -> Result<(String, String)> {
    let address = prefetch_address(tx, id)?;
    tx.result(address)?
        .ok_or_else(|| Error::not_found("account"))
}

/// Prefetches what [`address`] returns.
pub fn prefetch_address(
    tx: &mut Tx<'_>,
    id: UserId,
) -> Result<Prefetched<Option<(String, String)>>> {
    store::users::prefetch_email_and_name(tx, id)
}

/// Returns when the account was disabled, or `None` if it is enabled.
pub fn disabled_at(tx: &mut Tx<'_>, id: UserId) -> Result<Option<Timestamp>> {
    store::users::disabled_at(tx, id)
}

/// Returns all accounts, oldest first, each with whether it is disabled.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<(User, bool)>> {
    store::users::all(tx)
}

/// Returns one page of accounts, oldest first. `email` selects the account with that address, in any
/// spelling.
pub(super) fn list(
    tx: &mut Tx<'_>,
    email: Option<&Email>,
    page: PageRequest,
) -> Result<Page<User>> {
    store::users::list(tx, email.map(Email::key), page)
}

/// Returns the active sessions of an account, newest first.
pub fn sessions(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<Session>> {
    store::sessions::active_of_user(tx, user)
}

/// Returns whether an enabled admin exists.
pub fn has_admin(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(!store::users::lock_admins(tx)?.is_empty())
}

/// Returns the email address and the name of every enabled admin.
pub fn admin_addresses(tx: &mut Tx<'_>) -> Result<Vec<(String, String)>> {
    let admins = store::users::lock_admins(tx)?;
    admins.into_iter().map(|admin| address(tx, admin)).collect()
}
