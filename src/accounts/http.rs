//! The routes of accounts.

use std::sync::Arc;

use axum::{extract::FromRequestParts, response::Response};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    Email, NewPassword, NewUser, PersonName, Role, SignIn, TypedPassword, User,
    password::{self, Verdict},
};
use crate::{
    db::Tx,
    error::{Error, Kind, Result},
    web::{
        App, Routes, State,
        extract::{Bearer, Json, NoQuery},
        respond,
        token::Claims,
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(get_me))
}

/// An admin's token, checked at the door, before any body is read. The operation checks it once
/// more, in its own transaction.
pub struct Admin(pub Claims);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let Bearer(claims) = Bearer::from_request_parts(parts, app).await?;
        let own = claims;
        app.db
            .read("accounts.admin", move |tx| super::admin(tx, &own))
            .await?;
        Ok(Admin(claims))
    }
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    email: Email,
    password: NewPassword,
    name: PersonName,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Registered {
    user: User,
}

/// Make an account
///
/// Throttled, since it tells whether an address is taken.
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
    let chance = app.chance.clone();
    let (email, name) = (body.email, body.name);
    let password = app.hashing.run(move || body.password.hash(&chance)).await?;
    let new = NewUser {
        email,
        name,
        password,
        role: Role::Customer,
        verified: false,
    };
    let user = app
        .db
        .write("accounts.register", move |tx| super::register(tx, &new))
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
#[utoipa::path(post, path = "/auth/login", tag = "accounts", request_body = Login,
    responses(
        (status = 200, body = SignIn),
        (status = 401, description = "`invalid-credentials`"),
        (status = 429, description = "`too-many-requests`: also after 20 wrong passwords for one \
            address in 15 minutes"),
    ))]
pub(crate) async fn login(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<Login>,
) -> Result<Response> {
    let Login { email, password } = body;
    let (counts, typed) = (app.limits.are_on(), email.clone());
    let look = move |tx: &mut Tx<'_>| {
        if counts {
            super::count_try(tx, &typed)?;
        }
        super::credentials(tx, &typed)
    };
    let known = if counts {
        app.db.write("accounts.credentials", look).await?
    } else {
        app.db.read("accounts.credentials", look).await?
    };
    let (user, hash) = known.unzip();
    let chance = app.chance.clone();
    let verdict = app
        .hashing
        .run(move || password::verify(&password, hash.as_ref(), &chance))
        .await?;
    let (Some(user), Verdict::Right | Verdict::RightButWeak(_)) = (user, &verdict) else {
        let detail = "the email address or the password is wrong";
        return Err(Error::new(
            Kind::Unauthorized("invalid-credentials"),
            detail,
        ));
    };
    let shop = Arc::clone(&app);
    let signed_in = app
        .db
        .write("accounts.sign_in", move |tx| {
            if counts {
                super::forgive_try(tx, &email)?;
            }
            if let Verdict::RightButWeak(stronger) = &verdict {
                super::upgrade_hash(tx, user, stronger)?;
            }
            super::sign_in(tx, &shop, user)
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
#[utoipa::path(post, path = "/auth/refresh", tag = "accounts", request_body = RefreshToken,
    responses(
        (status = 200, body = SignIn),
        (status = 401, description = "`invalid-token`: unknown, spent or expired"),
    ))]
pub(crate) async fn refresh(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<RefreshToken>,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let signed_in = app
        .db
        .write("accounts.refresh", move |tx| {
            super::refresh(tx, &shop, &body.refresh_token)
        })
        .await?;
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
            super::sign_out(tx, &body.refresh_token)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The own account
#[utoipa::path(get, path = "/me", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, body = User)))]
pub(crate) async fn get_me(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    let user = app
        .db
        .read("accounts.me", move |tx| {
            let visitor = super::visitor(tx, &claims)?;
            super::user_by_id(tx, visitor.user)
        })
        .await?;
    respond::ok(&user)
}
