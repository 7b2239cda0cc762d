//! Authentication: from the claims of an access token to the current user.

use super::{session::CurrentUser, store, user::Role};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{
        db::{Queued, Tx},
        web::jwt::Claims,
    },
};

/// Returns the user of an access token and locks the account and its session until commit.
///
/// Errors: `unauthorized` if the session has ended.
pub(super) fn authenticate(tx: &mut Tx<'_>, claims: &Claims) -> Result<CurrentUser> {
    let user = queue_authentication(tx, claims)?;
    authenticated(tx, user)
}

/// Queues the query of [`authenticate`].
pub(super) fn queue_authentication(
    tx: &mut Tx<'_>,
    claims: &Claims,
) -> Result<Queued<Option<CurrentUser>>> {
    store::sessions::queue_current_user(tx, claims.sid, claims.sub)
}

/// Returns the user of a queued authentication. Errors: as [`authenticate`].
pub(super) fn authenticated(
    tx: &mut Tx<'_>,
    user: Queued<Option<CurrentUser>>,
) -> Result<CurrentUser> {
    tx.result(user)?
        .ok_or_else(|| Error::unauthorized("this session has ended; sign in again"))
}

/// Like [`authenticate`]. Errors: `forbidden` if the user is not an admin.
pub(super) fn require_admin(tx: &mut Tx<'_>, claims: &Claims) -> Result<CurrentUser> {
    let user = authenticate(tx, claims)?;
    match user.role {
        Role::Admin => Ok(user),
        Role::Customer => Err(Error::new(Kind::Forbidden, "only an admin may do this")),
    }
}
