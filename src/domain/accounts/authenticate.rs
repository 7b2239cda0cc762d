//! Authentication: from the claims of an access token to the current user.

use super::{session::CurrentUser, store, user::Role};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{db::Tx, web::token::Claims},
};

/// Returns the user of an access token and locks the account and its session until commit.
///
/// Errors: `unauthorized` if the session has ended.
pub fn authenticate(tx: &mut Tx<'_>, claims: &Claims) -> Result<CurrentUser> {
    store::sessions::current_user(tx, claims.sid, claims.sub)?
        .ok_or_else(|| Error::unauthorized("this session has ended; sign in again"))
}

/// Like [`authenticate`]. Errors: `forbidden` if the user is not an admin.
pub fn require_admin(tx: &mut Tx<'_>, claims: &Claims) -> Result<CurrentUser> {
    let user = authenticate(tx, claims)?;
    match user.role {
        Role::Admin => Ok(user),
        Role::Customer => Err(Error::new(Kind::Forbidden, "only an admin may do this")),
    }
}
