//! Sessions, from sign-in to sign-out. A refresh token is good once; one that is sent again ends the
//! session, since somebody else has it too.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Network, PasswordHash, Role, User, digest, link, networks, new_secret, store, user_by_id,
};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
        id::{SessionId, UserId},
    },
    infra::{db::Tx, web::token::Claims},
};

/// How long a spent refresh token may come again unpunished: its answer may have been lost, or two
/// tabs of one browser have sent it at once.
const GRACE: Duration = Duration::from_secs(10);

/// What a sign-in gives: two tokens and the account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// How long the access token is valid, in seconds.
    pub expires_in: u64,
    /// Opaque; good for one refresh.
    pub refresh_token: String,
    pub user: User,
}

/// A session as operators see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub signed_in_at: Timestamp,
    /// `None`: it was not refreshed yet.
    pub refreshed_at: Option<Timestamp>,
    pub expires_at: Timestamp,
}

/// The sessions of an account that stand, newest first.
pub fn sessions(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<Session>> {
    store::sessions::of(tx, user)
}

/// Opens a session.
pub fn sign_in(tx: &mut Tx<'_>, app: &App, user: UserId) -> Result<SignIn> {
    let user = user_by_id(tx, user)?;
    let refresh = new_secret(tx);
    let session: SessionId = tx.id();
    let expires = tx.now().plus(app.config.refresh_token_ttl);
    store::sessions::insert(tx, session, user.id, &digest(&refresh), expires)?;
    granted(tx, app, session, user, refresh)
}

/// As [`sign_in`], for who has shown the password that `seen` is the hash of: it was checked outside
/// this transaction, and another one may have been set meanwhile, or the account disabled.
pub(super) fn sign_in_by_password(
    tx: &mut Tx<'_>,
    app: &App,
    user: UserId,
    seen: &PasswordHash,
    stronger: Option<&PasswordHash>,
    from: Network,
) -> Result<SignIn> {
    if store::password(tx, user)?.as_ref() != Some(seen) {
        return Err(wrong_credentials());
    }
    if let Some(stronger) = stronger {
        store::set_password(tx, user, stronger.as_str())?;
    }
    networks::remember(tx, app, user, from)?;
    sign_in(tx, app, user)
}

/// The one answer to a sign-in that fails, whatever the reason.
pub(super) fn wrong_credentials() -> Error {
    let detail = "the email address or the password is wrong";
    Error::new(Kind::Unauthorized("invalid-credentials"), detail)
}

/// Spends a refresh token: the session goes on under a new one. None: the token is no good; and where
/// that is because somebody else has used it, the session has ended, which is to be committed.
pub fn refresh(tx: &mut Tx<'_>, app: &App, token: &str, from: Network) -> Result<Option<SignIn>> {
    let fresh = new_secret(tx);
    let expires = tx.now().plus(app.config.refresh_token_ttl);
    let sent = digest(token);
    let Some((session, user)) = store::sessions::rotate(tx, &sent, &digest(&fresh), expires)?
    else {
        if let Some(spent) = store::sessions::spent(tx, &sent)?
            && (spent.is_succeeded || spent.at.plus(GRACE) < tx.now())
        {
            store::sessions::delete(tx, spent.session)?;
        }
        return Ok(None);
    };
    networks::remember(tx, app, user, from)?;
    let user = user_by_id(tx, user)?;
    granted(tx, app, session, user, fresh).map(Some)
}

/// Ends the session of a refresh token, spent or not; an unknown one is no error.
pub fn sign_out(tx: &mut Tx<'_>, token: &str) -> Result<()> {
    store::sessions::delete_by_token(tx, &digest(token))
}

/// Ends every session of an account, and every link that could open or change it.
pub fn sign_out_everywhere(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    store::sessions::delete_of(tx, user, None)?;
    link::withdraw_all(tx, user)
}

fn granted(
    tx: &Tx<'_>,
    app: &App,
    session: SessionId,
    user: User,
    refresh_token: String,
) -> Result<SignIn> {
    Ok(SignIn {
        access_token: app.tokens.sign(user.id, session, tx.now())?,
        token_type: "Bearer",
        expires_in: app.tokens.ttl().as_secs(),
        refresh_token,
        user,
    })
}

/// Forgets sessions that have ended by time, and tokens spent before `spent`.
pub fn forget_sessions(tx: &mut Tx<'_>, spent: Timestamp) -> Result<u64> {
    store::sessions::forget(tx, spent)
}

/// The user of a session that is active in this transaction.
#[derive(Debug, Clone, Copy)]
pub struct CurrentUser {
    pub user: UserId,
    pub role: Role,
}

/// Returns the user of an access token. Errors: `unauthorized` if the session has ended.
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
