//! Accounts: who somebody is, how they prove it, and what their role lets them do.

mod email;
pub mod http;
mod password;
mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

pub use self::{
    email::Email,
    password::{NewPassword, PasswordHash, TypedPassword},
    store::STANDING,
};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Kind, Result},
    id::{SessionId, UserId},
    web::{App, token::Claims},
};

/// What somebody may do. An admin may do what a customer may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    Customer,
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Customer => "CUSTOMER",
            Role::Admin => "ADMIN",
        }
    }

    pub fn parse(text: &str) -> Option<Role> {
        [Role::Customer, Role::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// A person's name: 1 to 200 characters, none of them a control character.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub struct PersonName(String);

impl TryFrom<String> for PersonName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.trim();
        if (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
            Ok(PersonName(name.to_owned()))
        } else {
            Err("must be 1 to 200 characters without control characters".to_owned())
        }
    }
}

impl PersonName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An account as its owner and admins see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub is_email_verified: bool,
    /// E.164, as `+919812345678`.
    pub phone: Option<String>,
    pub is_phone_verified: bool,
    pub created_at: Timestamp,
}

/// What a new account needs. `verified`: an admin vouches for the address.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: Email,
    pub name: PersonName,
    pub password: PasswordHash,
    pub role: Role,
    pub verified: bool,
}

/// Makes an account; an address that is taken, in any spelling, is a conflict.
pub fn register(tx: &mut Tx<'_>, new: &NewUser) -> Result<User> {
    let user = User {
        id: tx.id(),
        email: new.email.as_str().to_owned(),
        name: new.name.as_str().to_owned(),
        role: new.role,
        is_email_verified: new.verified,
        phone: None,
        is_phone_verified: false,
        created_at: tx.now(),
    };
    if store::insert(tx, &user, new.email.key(), new.password.as_str())? {
        Ok(user)
    } else {
        Err(Error::conflict(
            "email-taken",
            "an account with this email address exists; sign in",
        ))
    }
}

/// The account and the hash of its password, for a login to check outside the transaction.
pub fn credentials(tx: &mut Tx<'_>, email: &Email) -> Result<Option<(UserId, PasswordHash)>> {
    store::credentials(tx, email.key())
}

/// How many wrong passwords one address takes in [`TRIES_WINDOW`], whoever types them and wherever.
const MOST_TRIES: i64 = 20;

const TRIES_WINDOW: Duration = Duration::from_mins(15);

/// Counts a try before its password is looked at, so that many at once are no way around the limit;
/// [`forgive_try`] takes it back if it was right.
pub fn count_try(tx: &mut Tx<'_>, email: &Email) -> Result<()> {
    let (address, window) = (digest(email.key()), tx.now().minus(TRIES_WINDOW));
    if store::count_try(tx, &address, window, MOST_TRIES)? {
        return Ok(());
    }
    let since = store::tries_since(tx, &address)?.unwrap_or_else(|| tx.now());
    let left = since.plus(TRIES_WINDOW).0 - tx.now().0;
    let retry_after = Duration::from_millis(left.max(1000).unsigned_abs());
    let detail = "too many wrong passwords for this address; wait, or reset the password";
    Err(Error::new(Kind::TooManyRequests { retry_after }, detail))
}

/// Takes a counted try back: its password was right.
pub fn forgive_try(tx: &mut Tx<'_>, email: &Email) -> Result<()> {
    store::forgive_try(tx, &digest(email.key()))
}

/// Forgets the tries whose window is over; tells for how many addresses.
pub fn forget_tries(tx: &mut Tx<'_>) -> Result<u64> {
    let before = tx.now().minus(TRIES_WINDOW);
    store::forget_tries(tx, before)
}

/// Keeps a stronger hash of the same password.
pub fn upgrade_hash(tx: &mut Tx<'_>, user: UserId, hash: &PasswordHash) -> Result<()> {
    store::set_password(tx, user, hash.as_str())
}

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

/// Opens a session.
pub fn sign_in(tx: &mut Tx<'_>, app: &App, user: UserId) -> Result<SignIn> {
    let user = user_by_id(tx, user)?;
    let refresh = new_secret(tx);
    let session: SessionId = tx.id();
    let expires = tx.now().plus(app.config.refresh_token_ttl);
    store::insert_session(tx, session, user.id, &digest(&refresh), expires)?;
    granted(tx, app, session, user, refresh)
}

/// Spends a refresh token: the session goes on under a new one.
pub fn refresh(tx: &mut Tx<'_>, app: &App, token: &str) -> Result<SignIn> {
    let fresh = new_secret(tx);
    let expires = tx.now().plus(app.config.refresh_token_ttl);
    let (session, user) = store::rotate_session(tx, &digest(token), &digest(&fresh), expires)?
        .ok_or_else(|| {
            let detail = "the refresh token is unknown, spent or expired; sign in again";
            Error::new(Kind::Unauthorized("invalid-token"), detail)
        })?;
    let user = user_by_id(tx, user)?;
    granted(tx, app, session, user, fresh)
}

/// Ends the session of a refresh token; an unknown one is no error.
pub fn sign_out(tx: &mut Tx<'_>, token: &str) -> Result<()> {
    store::delete_session(tx, &digest(token))
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
        expires_in: app.tokens.ttl.as_secs(),
        refresh_token,
        user,
    })
}

/// 256 random bits as text.
fn new_secret(tx: &Tx<'_>) -> String {
    hex::encode(tx.chance().bytes::<32>())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Somebody whose session stands, in this very transaction.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    pub user: UserId,
    pub role: Role,
}

/// The visitor behind a token; one whose session has ended is unauthorized.
pub fn visitor(tx: &mut Tx<'_>, claims: &Claims) -> Result<Visitor> {
    store::visitor(tx, claims.sid, claims.sub)?
        .ok_or_else(|| Error::unauthorized("this session has ended; sign in again"))
}

/// As [`visitor`], and forbidden to all but admins.
pub fn admin(tx: &mut Tx<'_>, claims: &Claims) -> Result<Visitor> {
    let visitor = visitor(tx, claims)?;
    match visitor.role {
        Role::Admin => Ok(visitor),
        Role::Customer => Err(Error::new(Kind::Forbidden, "only an admin may do this")),
    }
}

/// The account with that id.
pub fn user_by_id(tx: &mut Tx<'_>, id: UserId) -> Result<User> {
    store::by_id(tx, id)?.ok_or_else(|| Error::not_found("user"))
}

/// The account with that address, in any spelling.
pub fn user_by_email(tx: &mut Tx<'_>, email: &Email) -> Result<User> {
    store::by_email(tx, email.key())?.ok_or_else(|| {
        Error::new(
            Kind::NotFound,
            format!("no account has `{}`", email.as_str()),
        )
    })
}

/// All accounts, oldest first.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<User>> {
    store::list(tx)
}

/// Whether the shop has an admin.
pub fn has_admin(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(store::admins(tx)? > 0)
}

/// Gives a role and ends the account's sessions. The last admin stays one.
pub fn set_role(tx: &mut Tx<'_>, id: UserId, role: Role) -> Result<User> {
    let user = user_by_id(tx, id)?;
    if user.role == Role::Admin && role != Role::Admin && store::admins(tx)? == 1 {
        let detail = "this is the last admin; make another account an admin first";
        return Err(Error::conflict("last-admin", detail));
    }
    store::set_role(tx, id, role)?;
    store::delete_sessions_of(tx, id)?;
    user_by_id(tx, id)
}

/// Sets a password and ends the account's sessions.
pub fn set_password(tx: &mut Tx<'_>, id: UserId, hash: &PasswordHash) -> Result<()> {
    store::set_password(tx, id, hash.as_str())?;
    store::delete_sessions_of(tx, id)
}
