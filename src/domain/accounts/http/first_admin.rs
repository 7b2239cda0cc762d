//! Creates the first admin by the link that the server has printed. It is not a part of the API.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::sessions::UserResponse;
use crate::{
    app::State,
    core::{
        audit::{Actor, Origin},
        error::Result,
    },
    domain::accounts::{
        email::Email,
        first_admin,
        password::NewPassword,
        user::{NewUser, PersonName, Role},
    },
    infra::web::{
        extract::{Json, NoQuery},
        respond,
    },
};

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstAdmin {
    /// The part of the link after `#token=`.
    token: String,
    email: Email,
    name: PersonName,
    password: NewPassword,
}

/// Creates the admin. Responds with the user, or `invalid-token` or `email-taken`.
pub async fn create_first_admin(
    axum::extract::State(app): State,
    origin: Origin,
    _: NoQuery,
    Json(body): Json<FirstAdmin>,
) -> Result<Response> {
    let FirstAdmin {
        token,
        email,
        name,
        password,
    } = body;
    // Checks the token first, so that strangers cannot make the server hash passwords.
    let (submitted, key) = (token.clone(), app.first_admin.clone());
    app.db
        .read("accounts.first_admin_token", move |tx| {
            first_admin::check_token(tx, &key, &submitted)
        })
        .await?;
    password.check_against(&email, "password")?;
    let rng = app.rng.clone();
    let hash = move |memory: &mut _| password.hash(memory, &rng);
    let new = NewUser {
        email,
        name,
        password: app.hash_pool.run_with(hash).await?,
        role: Role::Admin,
        // Whoever has the link runs the server.
        verified: true,
    };
    let actor = Arc::new(Actor {
        origin,
        ..Actor::system()
    });
    let key = app.first_admin.clone();
    let user = app
        .db
        .write("accounts.create_first_admin", move |tx| {
            tx.set_actor(Arc::clone(&actor));
            first_admin::create_first_admin(tx, &key, &token, &new)
        })
        .await?;
    respond::json(StatusCode::CREATED, &UserResponse { user })
}
