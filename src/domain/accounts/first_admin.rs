//! The link that creates the first admin. A server that starts without an admin prints it.
//!
//! Its token is a keyed hash of a random text in the settings. So all instances print the same link, although the token
//! is not stored. Using the link deletes the text, and so does a start with an admin: no link works again later.

use subtle::ConstantTimeEq;

use super::{
    lookup::has_admin,
    problems::INVALID_LINK_TOKEN,
    register::register,
    secret,
    user::{NewUser, User},
};
use crate::{
    core::error::{Error, Result},
    infra::{
        db::{self, Tx},
        web::keyed_hash::KeyedHash,
    },
};

/// The path of the page that the link opens, which also takes its form.
pub const FIRST_ADMIN_PATH: &str = "/first-admin";

/// The name of the setting with the random text.
const SETTING: &str = "first_admin_link";

/// Returns the link, or `None` if there is an admin.
pub fn first_admin_link(tx: &mut Tx<'_>, key: &KeyedHash) -> Result<Option<String>> {
    if has_admin(tx)? {
        db::delete_setting(tx, SETTING)?;
        return Ok(None);
    }
    let initial = secret::generate(tx);
    let text = db::setting(tx, SETTING, &initial)?;
    let (public_url, token) = (&tx.settings().public_url, hex::encode(key.hash(&text)));
    Ok(Some(format!(
        "{public_url}{FIRST_ADMIN_PATH}#token={token}"
    )))
}

/// Errors: `invalid-token` if this is not the token of the link, or there is an admin.
pub(super) fn check_token(tx: &mut Tx<'_>, key: &KeyedHash, token: &str) -> Result<()> {
    let text = db::find_setting(tx, SETTING)?;
    let is_valid = |text: &String| {
        let hashes = key.hashes(text);
        hashes.fold(false, |found, hash| {
            found | bool::from(hex::encode(hash).as_bytes().ct_eq(token.as_bytes()))
        })
    };
    if text.as_ref().is_some_and(is_valid) && !has_admin(tx)? {
        return Ok(());
    }
    Err(invalid_token())
}

/// Creates the first admin, and ends the link. Errors: `invalid-token`; `email-taken`.
pub(super) fn create_first_admin(
    tx: &mut Tx<'_>,
    key: &KeyedHash,
    token: &str,
    new: &NewUser,
) -> Result<User> {
    check_token(tx, key, token)?;
    // Of two requests at the same time, one deletes it.
    if !db::delete_setting(tx, SETTING)? {
        return Err(invalid_token());
    }
    register(tx, new)
}

fn invalid_token() -> Error {
    INVALID_LINK_TOKEN.error("the link is unknown or used, or the shop has an admin already")
}
