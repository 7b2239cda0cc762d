//! Registration and sign-in, which `domain/sign_in` offers, token refresh and logout.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::{App, State},
    core::{error::Result, id::UserId},
    domain::accounts::{
        self,
        attempt_limits::LoginAttempt,
        email::Email,
        email_links,
        known_networks::{self, ProviderNetwork},
        password::{self, NewPassword, SubmittedPassword, Verification},
        problems::INVALID_REFRESH_TOKEN,
        session::SessionTokens,
        sign_in, sign_out,
        user::{NewUser, PersonName, Role, User},
    },
    infra::{
        db::Tx,
        web::{
            client::{ClientAddress, Network},
            extract::{Json, NoQuery},
            request_context, respond,
        },
    },
};

#[derive(Serialize, ToSchema)]
pub(crate) struct UserResponse {
    pub(super) user: User,
}

/// What a visitor sends to register.
pub struct Registration {
    pub email: Email,
    pub password: NewPassword,
    pub name: PersonName,
}

/// Creates an account, and sends an email with a link that verifies the address. `and` runs in the same transaction.
///
/// Errors: `email-taken`; a field error of `password`.
pub async fn register_and<T: Send + 'static>(
    app: &App,
    new: Registration,
    mut and: impl FnMut(&mut Tx<'_>, UserId) -> Result<T> + Send + 'static,
) -> Result<(User, T)> {
    new.password.check_against(&new.email, "password")?;
    let rng = app.rng.clone();
    let (email, name) = (new.email, new.name);
    let hash = move |memory: &mut _| new.password.hash(memory, &rng);
    let password = app.hash_pool.run_with(hash).await?;
    let new = NewUser {
        email,
        name,
        password,
        role: Role::Customer,
        verified: false,
    };
    app.db
        .write("accounts.register", move |tx| {
            let user = accounts::register(tx, &new)?;
            email_links::send_verification(tx, &user)?;
            let result = and(tx, user.id)?;
            Ok((user, result))
        })
        .await
}

/// Opens a session for an email address and a password. `and` runs in the same transaction.
///
/// Errors: `invalid-credentials`; `too-many-requests`, also after too many wrong passwords.
pub async fn sign_in_and<T: Send + 'static>(
    app: &App,
    client: ClientAddress,
    (email, password): (Email, SubmittedPassword),
    mut and: impl FnMut(&mut Tx<'_>, UserId) -> Result<T> + Send + 'static,
) -> Result<(SessionTokens, T)> {
    let from = Network::from(client);
    let network = ProviderNetwork::of(from, &app.networks);
    let (attempt, found) = if app.limits.is_enabled() {
        let asked = network.clone();
        let count = move |tx: &mut Tx<'_>| {
            let is_known = |tx: &mut Tx<'_>| known_networks::is_known(tx, &email, &asked);
            let attempt = match LoginAttempt::begin(tx, &email, from, is_known)? {
                Ok(attempt) => attempt,
                Err(error) => return Ok(Err(error)),
            };
            Ok(Ok((Some(attempt), sign_in::credentials(tx, &email)?)))
        };
        app.db.write("accounts.credentials", count).await??
    } else {
        let load = move |tx: &mut Tx<'_>| sign_in::credentials(tx, &email);
        (None, app.db.read("accounts.credentials", load).await?)
    };
    let (user, stored) = found.unzip();
    let (hash, rng) = (stored.clone(), app.rng.clone());
    let verification = app
        .hash_pool
        .run_with(move |memory| password::verify(&password, hash.as_ref(), memory, &rng))
        .await?;
    let rehashed = match verification {
        Verification::Wrong => return Err(sign_in::invalid_credentials()),
        Verification::Correct => None,
        Verification::CorrectWithRehash(rehashed) => Some(rehashed),
    };
    let (user, stored) = user.zip(stored).ok_or_else(sign_in::invalid_credentials)?;
    let tokens = app.tokens.clone();
    let signed_in = app
        .db
        .write("accounts.sign_in", move |tx| {
            let rehashed = rehashed.as_ref();
            let signed_in =
                sign_in::sign_in_by_password(tx, &tokens, user, &stored, rehashed, &network)?;
            if let Some(attempt) = &attempt {
                attempt.succeed(tx)?;
            }
            let result = and(tx, user)?;
            Ok((signed_in, result))
        })
        .await?;
    request_context::set_user(signed_in.0.user.id);
    Ok(signed_in)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RefreshTokenRequest {
    refresh_token: String,
}

/// Exchange a refresh token for new tokens
///
/// A refresh token is valid once. Reusing it more than 10 seconds after it was spent, or after its
/// successor was spent, ends the session.
#[utoipa::path(post, path = "/auth/refresh", tag = "accounts", request_body = RefreshTokenRequest,
    responses(
        (status = 200, body = SessionTokens),
        (status = 401, description = "`invalid-token`: unknown, spent or expired"),
    ))]
pub(crate) async fn refresh(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<RefreshTokenRequest>,
) -> Result<Response> {
    let (tokens, network) = (
        app.tokens.clone(),
        ProviderNetwork::of(client.into(), &app.networks),
    );
    let signed_in = app
        .db
        .write("accounts.refresh", move |tx| {
            sign_in::refresh(tx, &tokens, &body.refresh_token, &network)
        })
        .await?
        .ok_or_else(|| {
            let detail = "the refresh token is unknown, spent or expired; sign in again";
            INVALID_REFRESH_TOKEN.error(detail)
        })?;
    respond::ok(&signed_in)
}

/// End the session of a refresh token
///
/// Also ends the access tokens of the session. Succeeds for an unknown token, too.
#[utoipa::path(post, path = "/auth/logout", tag = "accounts", request_body = RefreshTokenRequest,
    responses((status = 204, description = "The session has ended, or there was none")))]
pub(crate) async fn logout(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<RefreshTokenRequest>,
) -> Result<StatusCode> {
    app.db
        .write("accounts.sign_out", move |tx| {
            sign_out::sign_out(tx, &body.refresh_token)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
