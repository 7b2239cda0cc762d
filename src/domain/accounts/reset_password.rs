//! Password reset by an emailed link.

use super::{
    attempt_limits,
    change_password::replace_password,
    email::Email,
    email_links::{mark_verified, send_link, user_of_token},
    known_networks::{self, ProviderNetwork},
    link_purpose::LinkPurpose,
    lookup::user_by_id,
    password::PasswordHash,
    sign_out::sign_out_everywhere,
    store,
    user::User,
};
use crate::{
    core::error::Result,
    infra::{db::Tx, web::client::Network},
};

/// Emails a reset link if an enabled account has the address and the limits permit another email. The caller
/// does not learn which, so that addresses cannot be enumerated.
pub(super) fn request_reset(tx: &mut Tx<'_>, email: &Email, from: Network) -> Result<()> {
    // Counts unknown addresses as well: each request costs a write, so that its timing reveals nothing.
    let has_room = attempt_limits::try_count_reset_email(tx, email, from)?;
    let Some(user) = store::users::lock_enabled_by_email(tx, email.key())? else {
        return Ok(());
    };
    if tx.settings().rate_limit && !has_room {
        return Ok(());
    }
    send_link(tx, &user, LinkPurpose::Reset)
}

/// Returns the account whose password the token can reset. Errors: `invalid-token`.
pub(super) fn user_by_reset_token(tx: &mut Tx<'_>, token: &str) -> Result<User> {
    let user = user_of_token(tx, token, LinkPurpose::Reset)?;
    user_by_id(tx, user)
}

/// Sets a new password with the token of a link. Errors: `invalid-token`.
///
/// Ends all sessions and marks the address as verified, since the link was emailed there. Clears the counts
/// of wrong passwords and forgets all known networks except `from`.
pub(super) fn reset_password(
    tx: &mut Tx<'_>,
    token: &str,
    hash: &PasswordHash,
    from: &ProviderNetwork,
) -> Result<()> {
    let user = user_by_reset_token(tx, token)?;
    mark_verified(tx, user.id)?;
    replace_password(tx, &user, hash)?;
    sign_out_everywhere(tx, user.id)?;
    known_networks::remember_only(tx, user.id, from)?;
    attempt_limits::clear_logins(tx, &user.parsed_email()?)
}
