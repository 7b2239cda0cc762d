//! Updates of accounts: name, role, password and the disabled state.
//!
//! At least one enabled admin always remains.

use super::{
    authenticate::require_admin,
    lookup::user_by_id,
    password::PasswordHash,
    problems::LAST_ADMIN,
    sign_out::sign_out_everywhere,
    store,
    user::{PersonName, Role, User},
};
use crate::{
    core::{error::Result, id::UserId},
    infra::{db::Tx, web::jwt::Claims},
};

/// Sets the name of an account.
pub(super) fn rename(tx: &mut Tx<'_>, id: UserId, name: &PersonName) -> Result<User> {
    store::users::set_name(tx, id, name.as_str())?;
    user_by_id(tx, id)
}

/// Sets a password without a notification and ends all sessions of the account.
pub fn set_password(tx: &mut Tx<'_>, id: UserId, hash: &PasswordHash) -> Result<()> {
    store::users::set_password(tx, id, hash.as_str())?;
    sign_out_everywhere(tx, id)
}

/// Sets the role of an account and ends its sessions. Errors: `last-admin`.
pub fn set_role(tx: &mut Tx<'_>, id: UserId, role: Role) -> Result<User> {
    if role != Role::Admin {
        ensure_another_admin(tx, id)?;
    }
    user_by_id(tx, id)?;
    store::users::set_role(tx, id, role)?;
    sign_out_everywhere(tx, id)?;
    user_by_id(tx, id)
}

/// Like [`set_role`], on behalf of an admin. Errors: `last-admin`, `forbidden`, `unauthorized`.
pub(super) fn set_role_as(
    tx: &mut Tx<'_>,
    claims: &Claims,
    id: UserId,
    role: Role,
) -> Result<User> {
    // Locks all admins before anything else, so that two admins who demote each other do not deadlock.
    store::users::lock_admins(tx)?;
    require_admin(tx, claims)?;
    set_role(tx, id, role)
}

/// Disables or enables an account and ends its sessions. Errors: `last-admin`.
pub fn set_disabled(tx: &mut Tx<'_>, id: UserId, disabled: bool) -> Result<()> {
    if disabled {
        ensure_another_admin(tx, id)?;
    }
    // The update waits for the row lock of a concurrent sign-in. Its session is then visible and is ended
    // below.
    store::users::set_disabled(tx, id, disabled)?;
    sign_out_everywhere(tx, id)
}

/// Errors: `last-admin` if no other enabled admin exists.
fn ensure_another_admin(tx: &mut Tx<'_>, id: UserId) -> Result<()> {
    if store::users::lock_admins(tx)? == [id] {
        let detail = "this is the last admin; make another account an admin first";
        return Err(LAST_ADMIN.error(detail));
    }
    Ok(())
}
