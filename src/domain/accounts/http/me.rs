//! The own account.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::State,
    core::{clock::Timestamp, error::Result},
    domain::accounts::{
        self, HashMemory, NewPassword, PersonName, Phone, TypedPassword, User,
        attempt_limits::Counter,
        password::{self, Verdict},
        phone,
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
            let visitor = accounts::authenticate(tx, &claims)?;
            accounts::user_by_id(tx, visitor.user)
        })
        .await?;
    respond::ok(&user)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnChange {
    name: PersonName,
}

/// Change the own account
#[utoipa::path(patch, path = "/me", tag = "accounts", security(("bearer" = [])),
    request_body = OwnChange,
    responses((status = 200, body = User)))]
pub(crate) async fn update_me(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<OwnChange>,
) -> Result<Response> {
    let user = app
        .db
        .write("accounts.rename", move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            accounts::rename(tx, visitor.user, &body.name)
        })
        .await?;
    respond::ok(&user)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PasswordChange {
    current_password: TypedPassword,
    new_password: NewPassword,
}

/// Change the own password
///
/// The other sessions of the account end; this one goes on.
#[utoipa::path(put, path = "/me/password", tag = "accounts", security(("bearer" = [])),
    request_body = PasswordChange,
    responses(
        (status = 204, description = "The password is changed"),
        (status = 429, description = "`too-many-requests`: also after 10 wrong passwords of one \
            session in 15 minutes"),
    ))]
pub(crate) async fn change_password(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<PasswordChange>,
) -> Result<StatusCode> {
    let PasswordChange {
        current_password,
        new_password,
    } = body;
    // Who has got hold of a session must not find out the password by trying, and who has not must not
    // stop the owner.
    let attempts = (app.limits.are_on()).then(|| Counter::of_password_changes(claims.sid));
    let look = move |tx: &mut Tx<'_>| {
        let visitor = accounts::authenticate(tx, &claims)?;
        if let Some(attempts) = &attempts {
            attempts.acquire(tx)?;
        }
        let email = accounts::user_by_id(tx, visitor.user)?.address()?;
        Ok((email, accounts::password_of(tx, visitor.user)?))
    };
    let (email, seen) = app.db.write("accounts.own_password", look).await?;
    new_password.check_against(&email, "newPassword")?;
    let (kept, rng) = (seen.clone(), app.rng.clone());
    let check = move |memory: &mut HashMemory| {
        let verdict = password::verify(&current_password, Some(&kept), memory, &rng)?;
        match verdict {
            Verdict::Wrong => Err(accounts::wrong_password()),
            Verdict::Right | Verdict::RightButWeak(_) => new_password.hash(memory, &rng),
        }
    };
    let hash = app.hash_pool.run_with(check).await?;
    app.db
        .write("accounts.replace_password", move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            if let Some(attempts) = &attempts {
                attempts.clear(tx)?;
            }
            accounts::replace_password(tx, visitor.user, claims.sid, &seen, &hash)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPhone {
    phone: Phone,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CodeSent {
    /// Until when the code is good.
    expires_at: Timestamp,
}

/// Set the own phone; a code to prove it is sent there
///
/// The number is shown at once, as not verified. A new code makes the one before useless.
#[utoipa::path(post, path = "/me/phone", tag = "accounts", security(("bearer" = [])),
    request_body = NewPhone,
    responses(
        (status = 202, body = CodeSent),
        (status = 429, description = "`too-many-requests`: also after 5 codes in an hour for the \
            account or the number, or 20 from one client network"),
    ))]
pub(crate) async fn set_phone(
    axum::extract::State(app): State,
    client: ClientAddress,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<NewPhone>,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let to = body.phone.as_str().to_owned();
    let code = app
        .db
        .write("accounts.set_phone", move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            accounts::set_phone(tx, &shop, visitor.user, &body.phone, client.into())
        })
        .await?;
    let text = format!("your code is {}", code.text);
    app.sms.send(&to, &text).await?;
    let expires_at = code.expires_at;
    respond::json(StatusCode::ACCEPTED, &CodeSent { expires_at })
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    /// Six digits.
    code: String,
}

/// Prove the own phone by the code that was sent there
#[utoipa::path(post, path = "/me/phone/verify", tag = "accounts", security(("bearer" = [])),
    request_body = Code,
    responses(
        (status = 200, body = User),
        (status = 400, description = "`invalid-code`: wrong, tried 5 times, used or older than 10 \
            minutes"),
    ))]
pub(crate) async fn verify_phone(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<Code>,
) -> Result<Response> {
    let user = app
        .db
        .write("accounts.guess_code", move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            accounts::guess_code(tx, visitor.user, &body.code)
        })
        .await?
        .ok_or_else(phone::wrong_code)?;
    respond::ok(&user)
}
