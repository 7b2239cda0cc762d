//! The HTTP routes of accounts: sign-in, email links, the current user, user administration, and the first admin.

mod email_links;
mod first_admin;
mod me;
mod sessions;
mod transactions;
mod users;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use utoipa_axum::routes;

pub use self::{
    first_admin::create_first_admin,
    sessions::{Registration, register_and, sign_in_and},
    transactions::Caller,
};
use crate::{
    app::{App, Routes},
    core::{
        audit::Origin,
        error::{Error, Result},
    },
    domain::accounts::authenticate::require_admin,
    infra::web::{client, extract::Bearer, jwt::Claims},
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::logout))
        .routes(routes!(email_links::verify_email))
        .routes(routes!(email_links::resend_verification))
        .routes(routes!(email_links::forgot_password))
        .routes(routes!(email_links::reset_password))
        .routes(routes!(me::get_me, me::update_me))
        .routes(routes!(me::change_password))
        .routes(routes!(me::set_phone))
        .routes(routes!(me::verify_phone))
        .routes(routes!(users::list_users))
        .routes(routes!(users::get_user, users::update_user))
}

/// Extracts the access token of an admin. It rejects other users before the request body is read. It serves only
/// to open a transaction, e.g. by [`App::write_as`], which checks the role again and has the changes recorded in
/// the audit log.
#[derive(Debug, Clone)]
pub struct Admin {
    claims: Claims,
    origin: Origin,
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let Bearer(claims) = Bearer::from_request_parts(parts, app).await?;
        app.db
            .read("accounts.admin", move |tx| require_admin(tx, &claims))
            .await?;
        let origin = client::origin(parts);
        Ok(Admin { claims, origin })
    }
}
