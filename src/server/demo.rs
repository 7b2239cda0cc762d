//! The accounts of a demo and their sign-in links.
//!
//! A link opens the console with a token in its fragment, which browsers do not send. The console removes it from the
//! address bar and posts it to `/demo/session`, which opens a session. The route exists only in a demo. Tokens are
//! derived from the secret that signs access tokens, so links stay valid after a restart and nothing stores them.

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::post};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::{
    app::App,
    core::error::{Error, Result},
    domain::accounts::{self, Email, Role, problems::INVALID_CREDENTIALS},
    infra::web::{
        extract::{Json, NoQuery},
        request_context, respond,
    },
};

/// An account of the demo.
#[derive(Debug)]
pub struct DemoUser {
    /// What the program calls the link of this account.
    pub label: &'static str,
    pub email: &'static str,
    pub name: &'static str,
    pub role: Role,
}

pub const CUSTOMER: DemoUser = DemoUser {
    label: "customer",
    email: "customer@example.com",
    name: "Chetan Customer",
    role: Role::Customer,
};

pub const ADMIN: DemoUser = DemoUser {
    label: "admin",
    email: "admin@example.com",
    name: "Asha Admin",
    role: Role::Admin,
};

pub const USERS: [DemoUser; 2] = [CUSTOMER, ADMIN];

/// Returns the link that opens the console and signs in.
pub fn sign_in_link(app: &App, user: &DemoUser) -> String {
    let token = hex::encode(app.demo_secrets.hash(&token_input(user)));
    format!("{}/#sign-in={token}", app.settings().public_url)
}

fn token_input(user: &DemoUser) -> String {
    format!("link {}", user.email)
}

/// The route that exchanges the token of a link for a session.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/demo/session", post(sign_in))
}

#[derive(Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SignInRequest {
    token: String,
}

/// Opens a session like a login does.
///
/// Errors: `invalid-credentials` if the token is wrong or the account is disabled.
async fn sign_in(
    State(app): State<Arc<App>>,
    _: NoQuery,
    Json(body): Json<SignInRequest>,
) -> Result<Response> {
    let token = hex::decode(&body.token).unwrap_or_default();
    let user = USERS
        .iter()
        .find(|user| {
            let valid = token_input(user);
            let mut valid = app.demo_secrets.hashes(&valid);
            valid.any(|valid| valid.as_slice().ct_eq(&token).into())
        })
        .ok_or_else(invalid_link)?;
    let email = Email::parse(user.email).map_err(Error::internal)?;
    let tokens = app.tokens.clone();
    let session = app
        .db
        .write("demo.sign_in", move |tx| {
            let (user, _) = accounts::credentials(tx, &email)?.ok_or_else(invalid_link)?;
            accounts::sign_in(tx, &tokens, user)
        })
        .await?;
    request_context::set_user(session.user.id);
    respond::ok(&session)
}

fn invalid_link() -> Error {
    INVALID_CREDENTIALS
        .error("this sign-in link is not valid; `shop serve --demo` prints the valid ones")
}
