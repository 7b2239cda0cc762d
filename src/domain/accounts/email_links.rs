//! Single-use links in emails, which verify an address or set a new password.
//!
//! - A token is 256 random bits, stored as a hash, with an expiry.
//! - Each attempt to send an email generates a new token and commits its hash before sending. Tokens of
//!   earlier attempts stay valid, since those emails may have arrived. Using one token revokes all of them.
//! - A link starts with the shop's public URL, never with the `Host` of a request. The token is in the
//!   fragment, which browsers do not send to servers.

use serde_json::json;
use strum::VariantArray;

use super::{
    attempt_limits, link_purpose::LinkPurpose, lookup::user_by_id, problems::INVALID_LINK_TOKEN,
    secret, store, user::User,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        id::UserId,
    },
    infra::{db::Tx, web::client::Network},
};

/// Creates a link. Only the hash of its token is stored.
pub fn new_link(tx: &mut Tx<'_>, user: UserId, purpose: LinkPurpose) -> Result<String> {
    let token = secret::generate(tx);
    let expires = tx.now().plus(purpose.lifetime());
    store::link_tokens::insert(tx, &secret::digest(&token), user, purpose, expires)?;
    let (public_url, page) = (&tx.settings().public_url, purpose.page());
    Ok(format!("{public_url}/{page}#token={token}"))
}

/// Creates a link that sets a new password, for an operator to pass on.
///
/// Errors: `Unavailable` if the account is disabled.
pub fn reset_link(tx: &mut Tx<'_>, user: UserId) -> Result<String> {
    if store::users::lock_password(tx, user)?.is_none() {
        let detail = "the account is disabled; enable it first: `shop admin user enable EMAIL`";
        return Err(Error::unavailable(detail));
    }
    tx.audit(Action::UserResetPassword, Some(&user), Changes::none)?;
    new_link(tx, user, LinkPurpose::Reset)
}

/// Emails a link to the account's owner.
pub(super) fn send_link(tx: &mut Tx<'_>, user: &User, purpose: LinkPurpose) -> Result<()> {
    let (template, data) = (purpose.as_str(), json!({ "name": user.name }));
    tx.mail_with_link(&user.email, template, &data, (purpose.as_str(), user.id))
}

/// Emails the link that verifies the account's address.
pub(super) fn send_verification(tx: &mut Tx<'_>, user: &User) -> Result<()> {
    send_link(tx, user, LinkPurpose::Verify)
}

/// Like [`send_verification`], at the user's request. Does nothing if the address is verified already.
///
/// Errors: `TooManyRequests`.
pub(super) fn resend_verification(tx: &mut Tx<'_>, user: UserId, from: Network) -> Result<()> {
    let user = user_by_id(tx, user)?;
    if user.is_email_verified {
        return Ok(());
    }
    if tx.settings().rate_limit {
        attempt_limits::count_verification_email(tx, user.id, from)?;
    }
    send_verification(tx, &user)
}

/// Verifies the email address of the account that the token belongs to. Errors: `invalid-token`.
pub(super) fn verify_email(tx: &mut Tx<'_>, token: &str) -> Result<User> {
    let user = user_of_token(tx, token, LinkPurpose::Verify)?;
    mark_verified(tx, user)?;
    user_by_id(tx, user)
}

/// Marks the email address of an account as verified and revokes its verification links.
pub(super) fn mark_verified(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    store::users::set_email_verified(tx, user)?;
    revoke(tx, user, LinkPurpose::Verify)
}

/// Returns the enabled account that the token of a link belongs to. Errors: `invalid-token`.
pub(super) fn user_of_token(tx: &mut Tx<'_>, token: &str, purpose: LinkPurpose) -> Result<UserId> {
    let user = store::link_tokens::user(tx, &secret::digest(token), purpose)?;
    user.ok_or_else(|| {
        let detail = "the link is unknown, used or expired; ask for a new one";
        INVALID_LINK_TOKEN.error(detail)
    })
}

/// Revokes all links of an account with this purpose, and deletes unsent emails that would create another.
pub(super) fn revoke(tx: &mut Tx<'_>, user: UserId, purpose: LinkPurpose) -> Result<()> {
    // In this order: deleting the email's job waits for an attempt that is creating its token.
    tx.delete_unsent_mails(purpose.as_str(), user)?;
    store::link_tokens::delete_of_user(tx, user, purpose)
}

/// Like [`revoke`], for links of every purpose.
pub(super) fn revoke_all(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    LinkPurpose::VARIANTS
        .iter()
        .try_for_each(|purpose| revoke(tx, user, *purpose))
}
