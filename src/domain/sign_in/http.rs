//! The routes of registration and sign-in.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{
    app::{Routes, State},
    core::{error::Result, id::UserId},
    domain::{
        accounts::{
            Email, NewPassword, PersonName, SessionTokens, SubmittedPassword, User,
            http::{Registration, register_and, sign_in_and},
        },
        cart::{self, CartToken, MergeStrategy, MergedLine},
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

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(register))
        .routes(routes!(login))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RegisterRequest {
    email: Email,
    password: NewPassword,
    name: PersonName,
    /// The cart that the visitor has filled as a guest. An unknown token changes nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    cart_token: Option<CartToken>,
    #[serde(default)]
    cart_strategy: MergeStrategy,
}

/// A new account.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegisteredUser {
    user: User,
    /// What became of each line of the guest's cart; `null` without `cartToken`.
    #[schema(required)]
    merged: Option<Vec<MergedLine>>,
}

/// Create an account
///
/// Sends an email with a link that verifies the address. Rate-limited, since it reveals whether an address is
/// taken.
#[utoipa::path(post, path = "/auth/register", tag = "accounts", request_body = RegisterRequest,
    responses(
        (status = 201, body = RegisteredUser),
        (status = 409, description = "`email-taken`"),
    ))]
pub(crate) async fn register(
    axum::extract::State(app): State,
    _: NoQuery,
    Json(body): Json<RegisterRequest>,
) -> Result<Response> {
    let new = Registration {
        email: body.email,
        password: body.password,
        name: body.name,
    };
    let merge = merge_cart(body.cart_token, body.cart_strategy);
    let (user, merged) = register_and(&app, new, merge).await?;
    respond::json(StatusCode::CREATED, &RegisteredUser { user, merged })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LoginRequest {
    email: Email,
    password: SubmittedPassword,
    /// The cart that the customer has filled as a guest. An unknown token changes nothing.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    cart_token: Option<CartToken>,
    #[serde(default)]
    cart_strategy: MergeStrategy,
}

/// A new session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    #[serde(flatten)]
    session: SessionTokens,
    /// What became of each line of the guest's cart; `null` without `cartToken`.
    #[schema(required)]
    merged: Option<Vec<MergedLine>>,
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
        (status = 200, body = SignedIn),
        (status = 401, description = "`invalid-credentials`"),
        (status = 429, description = "`too-many-requests`: also after too many wrong passwords"),
    ))]
pub(crate) async fn login(
    axum::extract::State(app): State,
    client: ClientAddress,
    _: NoQuery,
    Json(body): Json<LoginRequest>,
) -> Result<Response> {
    let merge = merge_cart(body.cart_token, body.cart_strategy);
    let credentials = (body.email, body.password);
    let (session, merged) = sign_in_and(&app, client, credentials, merge).await?;
    respond::ok(&SignedIn { session, merged })
}

/// Returns what merges the cart of a guest, if there is a token.
fn merge_cart(
    token: Option<CartToken>,
    strategy: MergeStrategy,
) -> impl FnMut(&mut Tx<'_>, UserId) -> Result<Option<Vec<MergedLine>>> + Send + 'static {
    move |tx, user| match &token {
        Some(token) => {
            let merged = cart::merge_if_found(tx, user, token, strategy)?;
            Ok(Some(merged.unwrap_or_default()))
        }
        None => Ok(None),
    }
}
