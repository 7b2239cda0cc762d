//! Sessions and the tokens that belong to them.

use serde::Serialize;
use utoipa::ToSchema;

use super::user::{Role, User};
use crate::core::{clock::Timestamp, id::UserId};

/// The tokens of a session and its user, as returned by login and refresh.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionTokens {
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Lifetime of the access token, in seconds.
    pub expires_in: u64,
    /// Opaque token for a single refresh.
    pub refresh_token: String,
    pub user: User,
}

/// A session as operators see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub signed_in_at: Timestamp,
    /// `None` if the session was never refreshed.
    pub refreshed_at: Option<Timestamp>,
    pub expires_at: Timestamp,
}

/// The user of a session that is active in this transaction.
#[derive(Debug, Clone, Copy)]
pub struct CurrentUser {
    pub id: UserId,
    pub role: Role,
}
