//! What the links in mails lead to, and asking for them.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::sessions::Registered;
use crate::{
    app::State,
    core::error::Result,
    domain::accounts::{self, Email, NewPassword, link},
    infra::web::{
        client::ClientAddress,
        extract::{Bearer, Json, NoQuery},
        respond,
    },
};

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkToken {
    /// What stands behind `#token=` in the link.
    token: String,
}

/// Prove an address by the link that was mailed to it
#[utoipa::path(post, path = "/auth/verify-email", tag = "accounts", request_body = LinkToken,
    responses(
        (status = 200, body = Registered),
        (status = 400, description = "`invalid-token`: unknown, used or expired"),
    ))]
pub(crate) async fn verify_email(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<LinkToken>,
) -> Result<Response> {
    let user = app
        .db
        .write("accounts.verify_email", move |tx| {
            accounts::verify_email(tx, &body.token)
        })
        .await?;
    respond::ok(&Registered { user })
}

/// Mail the link that proves the own address once more
#[utoipa::path(post, path = "/auth/verify-email/resend", tag = "accounts",
    security(("bearer" = [])),
    responses((status = 202, description = "A mail goes out, unless the address is proven")))]
pub(crate) async fn resend_verification(
    axum::extract::State(app): State,
    client: ClientAddress,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<StatusCode> {
    let shop = Arc::clone(&app);
    app.db
        .write("accounts.resend_verification", move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            link::resend_verification(tx, &shop, visitor.user, client.into())
        })
        .await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgotten {
    email: Email,
}

/// Mail a link that sets a new password
///
/// The answer is the same whether there is an account or not. Within an hour, five requests for one
/// address from one client network send a mail, and twenty over all networks.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "accounts", request_body = Forgotten,
    responses((status = 202, description = "A mail goes out, if there is such an account")))]
pub(crate) async fn forgot_password(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<Forgotten>,
) -> Result<StatusCode> {
    let shop = Arc::clone(&app);
    app.db
        .write("accounts.forgot_password", move |tx| {
            accounts::forget_password(tx, &shop, &body.email, client.into())
        })
        .await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reset {
    /// What stands behind `#token=` in the link.
    token: String,
    password: NewPassword,
}

/// Set a new password by the link that was mailed
///
/// Every session of the account ends, its address is proven, and the counts of wrong passwords start
/// again.
#[utoipa::path(post, path = "/auth/reset-password", tag = "accounts", request_body = Reset,
    responses(
        (status = 204, description = "The password is set"),
        (status = 400, description = "`invalid-token`: unknown, used or expired"),
    ))]
pub(crate) async fn reset_password(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<Reset>,
) -> Result<StatusCode> {
    let Reset { token, password } = body;
    // Only who has a token may keep a processor busy with hashing.
    let sent = token.clone();
    let owner = app
        .db
        .read("accounts.owner_of_reset", move |tx| {
            accounts::owner_of_reset(tx, &sent)
        })
        .await?;
    password.check_against(&owner.address()?, "password")?;
    let rng = app.rng.clone();
    let hash = move |memory: &mut _| password.hash(memory, &rng);
    let hash = app.hash_pool.run_with(hash).await?;
    let shop = Arc::clone(&app);
    app.db
        .write("accounts.reset_password", move |tx| {
            accounts::reset_password(tx, &shop, &token, &hash, client.into())
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
