//! User administration.

use axum::{extract::OriginalUri, response::Response};
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use super::{Admin, Caller};
use crate::{
    app::State,
    core::{
        error::Result,
        id::UserId,
        pagination::{Page, PageLimit, PageNumber, PageRequest},
    },
    domain::accounts::{
        email::Email,
        lookup, update,
        user::{Role, User},
    },
    infra::web::{
        extract::{Json, NoQuery, Path, Query, parse_with},
        respond,
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersQuery {
    /// Page number, starting at 1.
    #[param(inline)]
    page: Option<PageNumber>,
    /// Page size; 20 by default.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// Only the account with this email address, in any spelling.
    #[serde(default, deserialize_with = "email")]
    #[param(inline)]
    email: Option<Email>,
}

fn email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Email>, D::Error> {
    parse_with(deserializer, Email::parse)
}

/// List accounts, oldest first
///
/// For admins.
#[utoipa::path(get, path = "/admin/users", tag = "accounts", security(("bearer" = [])),
    params(UsersQuery),
    responses((status = 200, body = Page<User>)))]
pub(crate) async fn list_users(
    axum::extract::State(app): State,
    admin: Admin,
    Query(query): Query<UsersQuery>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let page = PageRequest::new(query.page, query.limit);
    let listed = app
        .long_read_as(&admin, "accounts.list", move |tx, _| {
            lookup::list(tx, query.email.as_ref(), page)
        })
        .await?;
    respond::page(uri.path(), uri.query(), &listed)
}

/// Get an account
///
/// For admins.
#[utoipa::path(get, path = "/admin/users/{id}", tag = "accounts", security(("bearer" = [])),
    params(("id" = UserId, Path)),
    responses((status = 200, body = User)))]
pub(crate) async fn get_user(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<UserId>,
    _: NoQuery,
) -> Result<Response> {
    let user = app
        .read_as(&admin, "accounts.user", move |tx, _| {
            lookup::user_by_id(tx, id)
        })
        .await?;
    respond::ok(&user)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateUser {
    role: Role,
}

/// Set the role of an account and end its sessions
///
/// For admins. The account must sign in again. The last admin cannot become a customer.
#[utoipa::path(patch, path = "/admin/users/{id}", tag = "accounts", security(("bearer" = [])),
    params(("id" = UserId, Path)),
    request_body = UpdateUser,
    responses(
        (status = 200, body = User),
        (status = 409, description = "`last-admin`"),
    ))]
pub(crate) async fn update_user(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<UserId>,
    _: NoQuery,
    Json(body): Json<UpdateUser>,
) -> Result<Response> {
    let user = app
        .db
        .write("accounts.set_role", move |tx| {
            // Before the admin's own row, so that two admins who demote each other do not deadlock.
            update::lock_admins(tx)?;
            admin.begin_write(tx)?;
            update::set_role(tx, id, body.role)
        })
        .await?;
    respond::ok(&user)
}
