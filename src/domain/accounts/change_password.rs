//! Password changes by the account's owner.

use super::{
    email_links, link_purpose::LinkPurpose, lookup::user_by_id, password::PasswordHash, store,
    user::User,
};
use crate::{
    core::{
        error::{Error, Result},
        id::{SessionId, UserId},
    },
    infra::db::Tx,
};

/// Returns the password hash of an enabled account and locks the account until commit. Errors: `NotFound`.
pub(super) fn current_password(tx: &mut Tx<'_>, id: UserId) -> Result<PasswordHash> {
    store::users::lock_password(tx, id)?.ok_or_else(|| Error::not_found("user"))
}

/// Changes a password and ends all sessions of the account except `current_session`.
///
/// The current password was verified against `verified_hash` outside this transaction.
/// Errors: field error `wrong` if the password was changed in the meantime.
pub(super) fn change_password(
    tx: &mut Tx<'_>,
    id: UserId,
    current_session: SessionId,
    verified_hash: &PasswordHash,
    hash: &PasswordHash,
) -> Result<()> {
    if current_password(tx, id)? != *verified_hash {
        return Err(wrong_password());
    }
    let user = user_by_id(tx, id)?;
    replace_password(tx, &user, hash)?;
    store::sessions::delete_of_user(tx, id, Some(current_session))
}

pub(super) fn wrong_password() -> Error {
    Error::field("currentPassword", "wrong", "is not your password")
}

/// Sets a password, revokes all reset links and notifies the account's owner by email.
pub(super) fn replace_password(tx: &mut Tx<'_>, user: &User, hash: &PasswordHash) -> Result<()> {
    store::users::set_password(tx, user.id, hash.as_str())?;
    email_links::revoke(tx, user.id, LinkPurpose::Reset)?;
    tx.mail(
        &user.email,
        "password-changed",
        &serde_json::json!({ "name": user.name }),
    )
}
