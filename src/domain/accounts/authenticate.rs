//! Authentication: from the claims of an access token to the current user.

use super::{session::CurrentUser, store, user::Role};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{
        db::{Prefetched, Tx},
        web::jwt::Claims,
    },
};

/// Returns the user of an access token and locks the account and its session until commit.
///
/// Errors: `unauthorized` if the session has ended.
pub(super) fn authenticate(tx: &mut Tx<'_>, claims: &Claims) -> Result<CurrentUser> {
    let user = prefetch_authentication(tx, claims)?;
    authenticated(tx, user)
}

/// Prefetches the session that [`authenticate`] checks.
pub(super) fn prefetch_authentication(
    tx: &mut Tx<'_>,
    claims: &Claims,
) -> Result<Prefetched<Option<CurrentUser>>> {
    store::sessions::prefetch_current_user(tx, claims.sid, claims.sub)
}

/// Returns the user of a prefetched session. Errors: as [`authenticate`].
pub(super) fn authenticated(
    tx: &mut Tx<'_>,
    user: Prefetched<Option<CurrentUser>>,
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
