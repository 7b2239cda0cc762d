//! Registration, login, token refresh and logout.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::State,
    core::error::Result,
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

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterRequest {
    email: Email,
    password: NewPassword,
    name: PersonName,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct UserResponse {
    pub(super) user: User,
}

/// Create an account
///
/// Sends an email with a link that verifies the address. Rate-limited, since it reveals whether an address is
/// taken.
#[utoipa::path(post, path = "/auth/register", tag = "accounts", request_body = RegisterRequest,
    responses(
        (status = 201, body = UserResponse),
        (status = 409, description = "`email-taken`"),
    ))]
pub(crate) async fn register(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<RegisterRequest>,
) -> Result<Response> {
    body.password.check_against(&body.email, "password")?;
    let rng = app.rng.clone();
    let (email, name) = (body.email, body.name);
    let hash = move |memory: &mut _| body.password.hash(memory, &rng);
    let password = app.hash_pool.run_with(hash).await?;
    let new = NewUser {
        email,
        name,
        password,
        role: Role::Customer,
        verified: false,
    };
    let user = app
        .db
        .write("accounts.register", move |tx| {
            let user = accounts::register(tx, &new)?;
            email_links::send_verification(tx, &user)?;
            Ok(user)
        })
        .await?;
    respond::json(StatusCode::CREATED, &UserResponse { user })
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    email: Email,
    password: SubmittedPassword,
}

/// Sign in
///
/// After 10 wrong passwords within 15 minutes for one email address from one client network (an IPv4
/// address or an IPv6 /64), further logins from that network are refused; a correct password clears the
/// count. After 60 over all networks, logins are refused except from known networks of the account: those
/// (IPv4 /24, IPv6 /48) from which its owner signed in, refreshed a session or reset the password within 90
/// days. A password reset clears all counts.
#[utoipa::path(post, path = "/auth/login", tag = "accounts", request_body = LoginRequest,
    responses(
        (status = 200, body = SessionTokens),
        (status = 401, description = "`invalid-credentials`"),
        (status = 429, description = "`too-many-requests`: also after too many wrong passwords"),
    ))]
pub(crate) async fn login(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<LoginRequest>,
) -> Result<Response> {
    let LoginRequest { email, password } = body;
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
            Ok(signed_in)
        })
        .await?;
    request_context::set_user(signed_in.user.id);
    respond::ok(&signed_in)
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
