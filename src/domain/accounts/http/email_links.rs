//! Email verification and password reset by emailed links.

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::sessions::UserResponse;
use crate::{
    app::State,
    core::error::Result,
    domain::accounts::{
        email::Email, email_links, known_networks::ProviderNetwork, password::NewPassword,
        reset_password,
    },
    infra::web::{
        client::ClientAddress,
        extract::{Bearer, Json, NoQuery},
        respond,
    },
};

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyEmailRequest {
    /// The part of the link after `#token=`.
    token: String,
}

/// Verify an email address with the token from an emailed link
///
/// The link in the email opens a page of the shop, which sends its token here. A token is valid once and
/// for a limited time.
#[utoipa::path(post, path = "/auth/verify-email", tag = "accounts", request_body = VerifyEmailRequest,
    responses(
        (status = 200, body = UserResponse),
        (status = 400, description = "`invalid-token`: unknown, used or expired"),
    ))]
pub(crate) async fn verify_email(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<VerifyEmailRequest>,
) -> Result<Response> {
    let user = app
        .db
        .write("accounts.verify_email", move |tx| {
            email_links::verify_email(tx, &body.token)
        })
        .await?;
    respond::ok(&UserResponse { user })
}

/// Send the verification email again
///
/// The response is the same if the address is verified already; then no email is sent.
#[utoipa::path(post, path = "/auth/verify-email/resend", tag = "accounts",
    security(("bearer" = [])),
    responses((status = 202, description = "An email is sent, unless the address is verified")))]
pub(crate) async fn resend_verification(
    axum::extract::State(app): State,
    client: ClientAddress,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<StatusCode> {
    app.write_as(
        &claims,
        "accounts.resend_verification",
        move |tx, current| email_links::resend_verification(tx, current.id, client.into()),
    )
    .await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgotPasswordRequest {
    email: Email,
}

/// Send an email with a link that sets a new password
///
/// The response is the same whether or not an account has this address. At most 5 emails per hour are sent
/// for requests from one client network, and at most 20 over all networks.
#[utoipa::path(post, path = "/auth/forgot-password", tag = "accounts", request_body = ForgotPasswordRequest,
    responses((status = 202, description = "An email is sent if an account has this address")))]
pub(crate) async fn forgot_password(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<ForgotPasswordRequest>,
) -> Result<StatusCode> {
    app.db
        .write("accounts.forgot_password", move |tx| {
            reset_password::request_reset(tx, &body.email, client.into())
        })
        .await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetPasswordRequest {
    /// The part of the link after `#token=`.
    token: String,
    password: NewPassword,
}

/// Set a new password with the token from an emailed link
///
/// Ends all sessions of the account, marks its email address as verified and clears the counts of wrong
/// passwords.
#[utoipa::path(post, path = "/auth/reset-password", tag = "accounts", request_body = ResetPasswordRequest,
    responses(
        (status = 204, description = "The password is set"),
        (status = 400, description = "`invalid-token`: unknown, used or expired"),
    ))]
pub(crate) async fn reset_password(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<ResetPasswordRequest>,
) -> Result<StatusCode> {
    let ResetPasswordRequest { token, password } = body;
    // Checks the token first, so that strangers cannot make the server hash passwords.
    let submitted = token.clone();
    let user = app
        .db
        .read("accounts.user_by_reset_token", move |tx| {
            reset_password::user_by_reset_token(tx, &submitted)
        })
        .await?;
    password.check_against(&user.parsed_email()?, "password")?;
    let rng = app.rng.clone();
    let hash = move |memory: &mut _| password.hash(memory, &rng);
    let hash = app.hash_pool.run_with(hash).await?;
    let network = ProviderNetwork::of(client.into(), &app.networks);
    app.db
        .write("accounts.reset_password", move |tx| {
            reset_password::reset_password(tx, &token, &hash, &network)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
