//! The current user: name, password and phone.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::State,
    core::{
        clock::Timestamp,
        error::{Error, Result},
    },
    domain::accounts::{
        attempt_limits::Counter,
        change_password, lookup,
        password::{self, HashMemory, NewPassword, SubmittedPassword, Verification},
        phone::Phone,
        session::CurrentUser,
        update,
        user::{PersonName, User},
        verify_phone,
    },
    infra::{
        db::Tx,
        web::{
            client::ClientAddress,
            extract::{Bearer, Json, NoQuery},
            respond,
        },
    },
};

/// Get the current user
///
/// The account of the access token.
#[utoipa::path(get, path = "/me", tag = "accounts", security(("bearer" = [])),
    responses((status = 200, body = User)))]
pub(crate) async fn get_me(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    let user = app
        .read_as(&claims, "accounts.me", move |tx, current| {
            lookup::user_by_id(tx, current.id)
        })
        .await?;
    respond::ok(&user)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMe {
    name: PersonName,
}

/// Update the current user
///
/// Changes the name. Password and phone number have routes of their own.
#[utoipa::path(patch, path = "/me", tag = "accounts", security(("bearer" = [])),
    request_body = UpdateMe,
    responses((status = 200, body = User)))]
pub(crate) async fn update_me(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<UpdateMe>,
) -> Result<Response> {
    let user = app
        .write_as(&claims, "accounts.rename", move |tx, current| {
            update::rename(tx, current.id, &body.name)
        })
        .await?;
    respond::ok(&user)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ChangePasswordRequest {
    current_password: SubmittedPassword,
    new_password: NewPassword,
}

/// Change the password of the current user
///
/// Ends all other sessions of the account.
#[utoipa::path(put, path = "/me/password", tag = "accounts", security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "The password is changed"),
        (status = 429, description = "`too-many-requests`: also after 10 wrong passwords in one \
            session within 15 minutes"),
    ))]
pub(crate) async fn change_password(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<ChangePasswordRequest>,
) -> Result<StatusCode> {
    let ChangePasswordRequest {
        current_password,
        new_password,
    } = body;
    // Counts per session: a stolen session cannot be used to guess the password, and nobody without a session
    // can lock the owner out.
    let attempts = (app.limits.is_enabled()).then(|| Counter::for_password_changes(claims.sid));
    let load = move |tx: &mut Tx<'_>, current: CurrentUser| {
        if let Some(attempts) = &attempts {
            attempts.acquire(tx)?;
        }
        let email = lookup::user_by_id(tx, current.id)?.parsed_email()?;
        Ok((email, change_password::current_password(tx, current.id)?))
    };
    let (email, stored) = app.write_as(&claims, "accounts.own_password", load).await?;
    let unsuitable = new_password.check_against(&email, "newPassword").err();
    let (hash, rng) = (stored.clone(), app.rng.clone());
    let check = move |memory: &mut HashMemory| {
        let verified = password::verify(&current_password, Some(&hash), memory, &rng)?;
        let wrong = matches!(verified, Verification::Wrong).then(change_password::wrong_password);
        let errors = [wrong, unsuitable].into_iter().flatten();
        let fields: Vec<_> = errors.flat_map(|error| error.fields().to_vec()).collect();
        if fields.is_empty() {
            new_password.hash(memory, &rng)
        } else {
            Err(Error::invalid(fields))
        }
    };
    let hash = app.hash_pool.run_with(check).await?;
    app.write_as(&claims, "accounts.change_password", move |tx, current| {
        if let Some(attempts) = &attempts {
            attempts.clear(tx)?;
        }
        change_password::change_password(tx, current.id, claims.sid, &stored, &hash)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPhoneRequest {
    phone: Phone,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhoneCodeSent {
    /// When the code expires.
    expires_at: Timestamp,
}

/// Set the phone number of the current user and send a code that verifies it
///
/// The number is unverified until the code is submitted. A new code invalidates the previous one.
#[utoipa::path(post, path = "/me/phone", tag = "accounts", security(("bearer" = [])),
    request_body = SetPhoneRequest,
    responses(
        (status = 202, body = PhoneCodeSent),
        (status = 429, description = "`too-many-requests`: also after 5 codes within an hour for the \
            account or the number, or 20 from one client network"),
    ))]
pub(crate) async fn set_phone(
    axum::extract::State(app): State,
    client: ClientAddress,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<SetPhoneRequest>,
) -> Result<Response> {
    let to = body.phone.as_str().to_owned();
    let code = app
        .write_as(&claims, "accounts.set_phone", move |tx, current| {
            verify_phone::set_phone(tx, current.id, &body.phone, client.into())
        })
        .await?;
    let text = format!("your code is {}", code.text);
    app.sms.send(&to, &text).await?;
    let expires_at = code.expires_at;
    respond::json(StatusCode::ACCEPTED, &PhoneCodeSent { expires_at })
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyPhoneRequest {
    /// Six digits.
    code: String,
}

/// Verify the phone number with the code that was sent to it
///
/// A code can be used once, within 10 minutes and 5 tries.
#[utoipa::path(post, path = "/me/phone/verify", tag = "accounts", security(("bearer" = [])),
    request_body = VerifyPhoneRequest,
    responses(
        (status = 200, body = User),
        (status = 400, description = "`invalid-code`: wrong, used, older than 10 minutes, or tried \
            5 times"),
    ))]
pub(crate) async fn verify_phone(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<VerifyPhoneRequest>,
) -> Result<Response> {
    let user = app
        .write_as(&claims, "accounts.verify_phone", move |tx, current| {
            verify_phone::verify_phone(tx, current.id, &body.code)
        })
        .await?
        .ok_or_else(verify_phone::invalid_code)?;
    respond::ok(&user)
}
