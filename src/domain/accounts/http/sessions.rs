//! Registering, signing in and out.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::State,
    core::error::{Error, Kind, Result},
    domain::accounts::{
        self, Email, Network, NewPassword, NewUser, PersonName, Role, SignIn, TypedPassword, User,
        attempt_limits::LoginAttempt,
        networks,
        password::{self, Verdict},
        session,
    },
    infra::{
        db::Tx,
        web::{
            client::ClientAddress,
            extract::{Json, NoQuery},
            respond,
        },
    },
};

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    email: Email,
    password: NewPassword,
    name: PersonName,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Registered {
    pub(super) user: User,
}

/// Make an account
///
/// A mail with a link to prove the address goes out. Throttled, since it tells whether an address is
/// taken.
#[utoipa::path(post, path = "/auth/register", tag = "accounts", request_body = Registration,
    responses(
        (status = 201, body = Registered),
        (status = 409, description = "`email-taken`"),
    ))]
pub(crate) async fn register(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<Registration>,
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
            accounts::send_verification(tx, &user)?;
            Ok(user)
        })
        .await?;
    respond::json(StatusCode::CREATED, &Registered { user })
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    email: Email,
    password: TypedPassword,
}

/// Sign in
///
/// After 10 wrong passwords in 15 minutes for one address from one client network (an IPv4 address or
/// an IPv6 /64), further logins from there are refused; a success starts the count again. After 60 over
/// all networks, logins are refused from networks that the account does not know. It knows those
/// (IPv4 /24, IPv6 /48) from which its owner signed in, refreshed or reset the password within 90
/// days. A password reset clears all counts.
#[utoipa::path(post, path = "/auth/login", tag = "accounts", request_body = Login,
    responses(
        (status = 200, body = SignIn),
        (status = 401, description = "`invalid-credentials`"),
        (status = 429, description = "`too-many-requests`: also after too many wrong passwords"),
    ))]
pub(crate) async fn login(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<Login>,
) -> Result<Response> {
    let Login { email, password } = body;
    let from = Network::from(client);
    let (attempt, known) = if app.limits.are_on() {
        let shop = Arc::clone(&app);
        let count = move |tx: &mut Tx<'_>| {
            let knows = |tx: &mut Tx<'_>| networks::knows(tx, &shop, &email, from);
            let attempt = match LoginAttempt::begin(tx, &email, from, knows)? {
                Ok(attempt) => attempt,
                Err(refusal) => return Ok(Err(refusal)),
            };
            Ok(Ok((Some(attempt), accounts::credentials(tx, &email)?)))
        };
        app.db.write("accounts.credentials", count).await??
    } else {
        let look = move |tx: &mut Tx<'_>| accounts::credentials(tx, &email);
        (None, app.db.read("accounts.credentials", look).await?)
    };
    let (user, hash) = known.unzip();
    let (seen, rng) = (hash.clone(), app.rng.clone());
    let verdict = app
        .hash_pool
        .run_with(move |memory| password::verify(&password, hash.as_ref(), memory, &rng))
        .await?;
    let stronger = match verdict {
        Verdict::Wrong => return Err(session::wrong_credentials()),
        Verdict::Right => None,
        Verdict::RightButWeak(stronger) => Some(stronger),
    };
    let (user, seen) = user.zip(seen).ok_or_else(session::wrong_credentials)?;
    let shop = Arc::clone(&app);
    let signed_in = app
        .db
        .write("accounts.sign_in", move |tx| {
            let stronger = stronger.as_ref();
            let signed_in = session::sign_in_by_password(tx, &shop, user, &seen, stronger, from)?;
            if let Some(attempt) = &attempt {
                attempt.succeed(tx)?;
            }
            Ok(signed_in)
        })
        .await?;
    respond::ok(&signed_in)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RefreshToken {
    refresh_token: String,
}

/// Exchange a refresh token for new tokens
///
/// A token is good once. One that is sent again later than 10 seconds after it was spent, or after its
/// successor was spent, ends the whole session.
#[utoipa::path(post, path = "/auth/refresh", tag = "accounts", request_body = RefreshToken,
    responses(
        (status = 200, body = SignIn),
        (status = 401, description = "`invalid-token`: unknown, spent or expired"),
    ))]
pub(crate) async fn refresh(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<RefreshToken>,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let signed_in = app
        .db
        .write("accounts.refresh", move |tx| {
            accounts::refresh(tx, &shop, &body.refresh_token, client.into())
        })
        .await?
        .ok_or_else(|| {
            let detail = "the refresh token is unknown, spent or expired; sign in again";
            Error::new(Kind::Unauthorized("invalid-token"), detail)
        })?;
    respond::ok(&signed_in)
}

/// End the session of a refresh token
#[utoipa::path(post, path = "/auth/logout", tag = "accounts", request_body = RefreshToken,
    responses((status = 204, description = "The session has ended, if there was one")))]
pub(crate) async fn logout(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<RefreshToken>,
) -> Result<StatusCode> {
    app.db
        .write("accounts.sign_out", move |tx| {
            accounts::sign_out(tx, &body.refresh_token)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
