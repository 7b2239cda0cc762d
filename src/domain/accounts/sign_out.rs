//! Sign-out and the end of sessions.

use super::{email_links, secret, store};
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        id::UserId,
    },
    infra::db::Tx,
};

/// Ends the session of a refresh token, whether or not it was spent. An unknown token is not an error.
pub(super) fn sign_out(tx: &mut Tx<'_>, token: &str) -> Result<()> {
    store::sessions::delete_by_token(tx, &secret::digest(token))
}

/// Like `sign_out_everywhere`, at an operator's request.
pub fn log_out(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    sign_out_everywhere(tx, user)?;
    tx.audit(Action::UserLogout, Some(&user), Changes::none)
}

/// Ends all sessions of an account and revokes all of its email links.
pub(super) fn sign_out_everywhere(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    store::sessions::delete_of_user(tx, user, None)?;
    email_links::revoke_all(tx, user)
}
