//! Sign-in and refresh of sessions.
//!
//! Refresh tokens rotate, with reuse detection (RFC 9700, section 4.14.2): a token is valid once, and its
//! reuse ends the session, because a second party has the token.

use std::time::Duration;

use super::{
    email::Email,
    known_networks::{self, ProviderNetwork},
    lookup::user_by_id,
    password::PasswordHash,
    problems::INVALID_CREDENTIALS,
    secret,
    session::SessionTokens,
    store,
    user::User,
};
use crate::{
    core::{
        error::{Error, Result},
        id::{SessionId, UserId},
    },
    infra::{db::Tx, web::jwt::AccessTokens},
};

/// How long the reuse of a spent token is tolerated: its response may have been lost, or two browser tabs may
/// have sent it concurrently.
const REUSE_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// Returns the account and its password hash, so that a login can verify the password outside the
/// transaction. Returns `None` if no enabled account has the address.
pub fn credentials(tx: &mut Tx<'_>, email: &Email) -> Result<Option<(UserId, PasswordHash)>> {
    store::users::credentials(tx, email.key())
}

/// Opens a session.
pub fn sign_in(tx: &mut Tx<'_>, tokens: &AccessTokens, user: UserId) -> Result<SessionTokens> {
    let user = user_by_id(tx, user)?;
    let refresh = secret::generate(tx);
    let session: SessionId = tx.id();
    let expires = tx.now().plus(tx.settings().refresh_token_ttl);
    store::sessions::insert(tx, session, user.id, &secret::digest(&refresh), expires)?;
    issue_tokens(tx, tokens, session, user, refresh)
}

/// Like [`sign_in`], after the password was verified against `verified_hash` outside this transaction.
/// `rehashed` replaces a hash with outdated parameters.
///
/// Errors: `invalid-credentials` if the password was changed or the account was disabled in the meantime.
pub(super) fn sign_in_by_password(
    tx: &mut Tx<'_>,
    tokens: &AccessTokens,
    user: UserId,
    verified_hash: &PasswordHash,
    rehashed: Option<&PasswordHash>,
    from: &ProviderNetwork,
) -> Result<SessionTokens> {
    if store::users::lock_password(tx, user)?.as_ref() != Some(verified_hash) {
        return Err(invalid_credentials());
    }
    if let Some(rehashed) = rehashed {
        store::users::set_password(tx, user, rehashed.as_str())?;
    }
    known_networks::remember(tx, user, from)?;
    sign_in(tx, tokens, user)
}

/// The error of every failed login. It does not reveal whether the account exists.
pub(super) fn invalid_credentials() -> Error {
    let detail = "the email address or the password is wrong";
    INVALID_CREDENTIALS.error(detail)
}

/// Exchanges a refresh token for new tokens of the same session.
///
/// Returns `None` if the token is invalid. The transaction must then be committed as well, since reuse of a
/// spent token has ended the session.
pub(super) fn refresh(
    tx: &mut Tx<'_>,
    tokens: &AccessTokens,
    token: &str,
    from: &ProviderNetwork,
) -> Result<Option<SessionTokens>> {
    let new_token = secret::generate(tx);
    let expires = tx.now().plus(tx.settings().refresh_token_ttl);
    let old_hash = secret::digest(token);
    let new_hash = secret::digest(&new_token);
    let Some((session, user)) = store::sessions::rotate(tx, &old_hash, &new_hash, expires)? else {
        if let Some(spent) = store::sessions::spent_token(tx, &old_hash)?
            && (spent.is_successor_spent || spent.spent_at.plus(REUSE_GRACE_PERIOD) < tx.now())
        {
            store::sessions::delete(tx, spent.session)?;
        }
        return Ok(None);
    };
    known_networks::remember(tx, user, from)?;
    let user = user_by_id(tx, user)?;
    issue_tokens(tx, tokens, session, user, new_token).map(Some)
}

/// Signs an access token and returns it with the refresh token.
fn issue_tokens(
    tx: &Tx<'_>,
    tokens: &AccessTokens,
    session: SessionId,
    user: User,
    refresh_token: String,
) -> Result<SessionTokens> {
    Ok(SessionTokens {
        access_token: tokens.sign(user.id, session, tx.now())?,
        token_type: "Bearer",
        expires_in: tokens.ttl().as_secs(),
        refresh_token,
        user,
    })
}
