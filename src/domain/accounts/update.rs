//! Updates of accounts: name, role, password and the disabled state.
//!
//! At least one enabled admin always remains.

use super::{
    lookup::{disabled_at, user_by_id},
    password::PasswordHash,
    problems::LAST_ADMIN,
    sign_out::sign_out_everywhere,
    store,
    user::{PersonName, Role, User},
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        id::UserId,
    },
    infra::db::Tx,
};

/// Sets the name of an account.
pub(super) fn rename(tx: &mut Tx<'_>, id: UserId, name: &PersonName) -> Result<User> {
    store::users::set_name(tx, id, name.as_str())?;
    user_by_id(tx, id)
}

/// Sets a password without a notification and ends all sessions of the account.
pub fn set_password(tx: &mut Tx<'_>, id: UserId, hash: &PasswordHash) -> Result<()> {
    store::users::set_password(tx, id, hash.as_str())?;
    tx.audit(Action::UserResetPassword, Some(&id), Changes::none)?;
    sign_out_everywhere(tx, id)
}

/// Sets the role of an account and ends its sessions. Errors: `last-admin`.
pub fn set_role(tx: &mut Tx<'_>, id: UserId, role: Role) -> Result<User> {
    if role != Role::Admin {
        ensure_another_admin(tx, id)?;
    }
    let before = user_by_id(tx, id)?.role;
    store::users::set_role(tx, id, role)?;
    sign_out_everywhere(tx, id)?;
    tx.audit(Action::UserRole, Some(&id), || {
        Changes::none().field("role", before, role)
    })?;
    user_by_id(tx, id)
}

/// Locks the accounts of all enabled admins.
pub(super) fn lock_admins(tx: &mut Tx<'_>) -> Result<()> {
    store::users::lock_admins(tx).map(drop)
}

/// Disables or enables an account and ends its sessions. Errors: `last-admin`.
pub fn set_disabled(tx: &mut Tx<'_>, id: UserId, disabled: bool) -> Result<()> {
    if disabled {
        ensure_another_admin(tx, id)?;
    }
    let was_disabled = disabled_at(tx, id)?.is_some();
    // The update waits for the row lock of a concurrent sign-in. Its session is then visible and is ended
    // below.
    store::users::set_disabled(tx, id, disabled)?;
    let action = if disabled {
        Action::UserDisable
    } else {
        Action::UserEnable
    };
    tx.audit(action, Some(&id), || {
        Changes::none().field("isDisabled", was_disabled, disabled)
    })?;
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
