//! The carts of guests. A guest has a token, of which only the hash is stored.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{CartOwner, store};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
    },
    infra::db::Tx,
};

/// The number of carts that one transaction deletes.
const EXPIRED_PER_TRANSACTION: i64 = 500;

/// The token of a guest's cart: `cart_` and 256 random bits in base64url.
#[derive(Clone, Deserialize)]
pub struct CartToken(String);

impl CartToken {
    pub fn new(text: &str) -> CartToken {
        CartToken(text.to_owned())
    }

    pub(super) fn random(tx: &Tx<'_>) -> CartToken {
        let random = BASE64_URL_SAFE_NO_PAD.encode(tx.rng().bytes::<32>());
        CartToken(format!("cart_{random}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// Creates the cart of a guest.
pub(super) fn create(tx: &mut Tx<'_>) -> Result<(CartToken, CartOwner)> {
    let token = CartToken::random(tx);
    let id = tx.id();
    store::insert_guest_cart(tx, id, &token.hash())?;
    Ok((token, CartOwner::Guest(id)))
}

/// Returns the owner of a token. Errors: `not-found` if it is unknown or expired, or if its cart was merged.
pub(super) fn find(tx: &mut Tx<'_>, token: &CartToken) -> Result<CartOwner> {
    let since = unexpired_since(tx);
    let id = store::guest_cart(tx, &token.hash(), since)?;
    id.map(CartOwner::Guest).ok_or_else(not_found)
}

/// Like [`find`], and locks the cart, which then expires later.
pub(super) fn find_for_update(tx: &mut Tx<'_>, token: &CartToken) -> Result<CartOwner> {
    let since = unexpired_since(tx);
    let id = store::touch_guest_cart(tx, &token.hash(), since)?;
    id.map(CartOwner::Guest).ok_or_else(not_found)
}

pub(super) fn not_found() -> Error {
    Error::not_found("cart with this token")
}

/// Returns the time before which the carts that changed last have expired.
pub(super) fn unexpired_since(tx: &Tx<'_>) -> Timestamp {
    tx.now().minus(tx.settings().guest_cart_ttl)
}

/// Deletes some expired carts. Returns how many.
pub fn delete_expired_guest_carts(tx: &mut Tx<'_>) -> Result<u64> {
    let before = unexpired_since(tx);
    store::delete_guest_carts(tx, before, EXPIRED_PER_TRANSACTION)
}
