//! Accounts: who somebody is, how they prove it, and what their role lets them do.

mod attempt_limits;
mod email;
pub mod http;
mod link;
mod networks;
mod password;
mod phone;
mod session;
mod store;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

pub use self::{
    attempt_limits::{ATTEMPT_LIMITS, AttemptLimit, delete_expired_attempts},
    email::Email,
    link::{
        Purpose, forget_links, forget_password, new_link, owner_of_reset, reset_link,
        reset_password, send_verification, verify_email,
    },
    networks::delete_expired_networks,
    password::{HashMemory, NewPassword, PasswordHash, TypedPassword, hashing_slots},
    phone::{Phone, forget_codes, guess_code, set_phone},
    session::{
        CurrentUser, Session, SignIn, authenticate, forget_sessions, refresh, require_admin,
        sessions, sign_in, sign_out, sign_out_everywhere,
    },
    store::sessions::ACTIVE_SESSION,
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
        id::{SessionId, UserId},
        pagination::{Page, PageRequest},
        text::short_texts,
    },
    infra::{
        db::Tx,
        web::{client::Network, token::Claims},
    },
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

short_texts! {
    /// A person's name.
    PersonName
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
    #[schema(required)]
    pub phone: Option<String>,
    pub is_phone_verified: bool,
    pub created_at: Timestamp,
}

impl User {
    /// The address, to compare others with.
    fn address(&self) -> Result<Email> {
        Email::parse(&self.email).map_err(Error::internal)
    }
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

/// Where to write to somebody, and their name.
pub fn address(tx: &mut Tx<'_>, id: UserId) -> Result<(String, String)> {
    store::address(tx, id)?.ok_or_else(|| Error::not_found("account"))
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

/// The account and the hash of its password, for a login to check outside the transaction; none where
/// nobody may sign in.
pub fn credentials(tx: &mut Tx<'_>, email: &Email) -> Result<Option<(UserId, PasswordHash)>> {
    store::credentials(tx, email.key())
}

/// 256 random bits as text.
fn new_secret(tx: &Tx<'_>) -> String {
    hex::encode(tx.rng().bytes::<32>())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
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

/// Since when an account is disabled. `None`: it is not.
pub fn disabled_at(tx: &mut Tx<'_>, id: UserId) -> Result<Option<Timestamp>> {
    store::disabled_at(tx, id)
}

/// All accounts, oldest first, and whether each is disabled.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<(User, bool)>> {
    store::all(tx)
}

/// One page of accounts, oldest first; with `email`, the one that has it, in any spelling.
pub fn list(tx: &mut Tx<'_>, email: Option<&Email>, page: PageRequest) -> Result<Page<User>> {
    store::list(tx, email.map(Email::key), page)
}

/// Whether the shop has an admin who can sign in.
pub fn has_admin(tx: &mut Tx<'_>) -> Result<bool> {
    Ok(!store::admins(tx)?.is_empty())
}

/// Gives a role and ends the account's sessions. The last admin stays one.
pub fn set_role(tx: &mut Tx<'_>, id: UserId, role: Role) -> Result<User> {
    if role != Role::Admin {
        keep_an_admin(tx, id)?;
    }
    user_by_id(tx, id)?;
    store::set_role(tx, id, role)?;
    sign_out_everywhere(tx, id)?;
    user_by_id(tx, id)
}

/// As [`set_role`], for the admin that the claims name. Who may decide about admins is held before
/// anything else, so that two who demote each other do not wait for each other.
pub fn set_role_as(tx: &mut Tx<'_>, claims: &Claims, id: UserId, role: Role) -> Result<User> {
    store::admins(tx)?;
    require_admin(tx, claims)?;
    set_role(tx, id, role)
}

/// Lets an account sign in no more, or again. The last admin stays enabled.
pub fn set_disabled(tx: &mut Tx<'_>, id: UserId, disabled: bool) -> Result<()> {
    if disabled {
        keep_an_admin(tx, id)?;
    }
    // First the account, which a sign-in holds: one that was under way has its session by then.
    store::set_disabled(tx, id, disabled)?;
    sign_out_everywhere(tx, id)
}

/// Refuses to take the last admin away.
fn keep_an_admin(tx: &mut Tx<'_>, id: UserId) -> Result<()> {
    if store::admins(tx)? == [id] {
        let detail = "this is the last admin; make another account an admin first";
        return Err(Error::conflict("last-admin", detail));
    }
    Ok(())
}

/// Gives the own account another name.
pub fn rename(tx: &mut Tx<'_>, id: UserId, name: &PersonName) -> Result<User> {
    store::set_name(tx, id, name.as_str())?;
    user_by_id(tx, id)
}

/// The hash of an account's password, for its owner to prove that they know it.
pub fn password_of(tx: &mut Tx<'_>, id: UserId) -> Result<PasswordHash> {
    store::password(tx, id)?.ok_or_else(|| Error::not_found("user"))
}

/// Sets a password in place of the one that `seen` is the hash of, and ends all sessions but `own`. It
/// was checked outside this transaction: if another was set meanwhile, that is a conflict of two
/// changes, and the first has won.
pub fn replace_password(
    tx: &mut Tx<'_>,
    id: UserId,
    own: SessionId,
    seen: &PasswordHash,
    hash: &PasswordHash,
) -> Result<()> {
    if password_of(tx, id)? != *seen {
        return Err(wrong_password());
    }
    let user = user_by_id(tx, id)?;
    link::change_password(tx, &user, hash)?;
    store::sessions::delete_of(tx, id, Some(own))
}

fn wrong_password() -> Error {
    Error::field("currentPassword", "wrong", "is not your password")
}

/// Sets a password and ends the account's sessions.
pub fn set_password(tx: &mut Tx<'_>, id: UserId, hash: &PasswordHash) -> Result<()> {
    store::set_password(tx, id, hash.as_str())?;
    sign_out_everywhere(tx, id)
}
