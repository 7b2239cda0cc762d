//! Registration of new accounts.

use super::{
    problems::EMAIL_TAKEN,
    store,
    user::{NewUser, User},
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
    },
    infra::db::Tx,
};

/// Creates an account. Errors: `email-taken` if an account has the address in any spelling.
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
    if store::users::insert(tx, &user, new.email.key(), new.password.as_str())? {
        tx.audit(Action::UserCreate, Some(&user.id), || {
            Changes::between(None, Some(&user))
        })?;
        Ok(user)
    } else {
        Err(EMAIL_TAKEN.error("an account with this email address exists; sign in"))
    }
}
