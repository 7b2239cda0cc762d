//! The mailbox of admins: what the shop has sent and is about to send.

use std::sync::Arc;

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Mail, Templates, mail::blank_tokens, templates::templates};
use crate::{
    app::{App, Routes, State},
    core::{
        error::{Error, Result},
        id::MailId,
        pagination::{CursorPage, KeyType, ListRequest, PageLimit},
    },
    domain::accounts::http::Admin,
    infra::{
        ports::mailer::SentCopy,
        web::{
            extract::{NoQuery, Path, Query},
            respond,
        },
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_mail))
        .routes(routes!(get_mail))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MailQuery {
    /// Defaults to 20.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// The previous `nextCursor`; omitted or empty to start.
    cursor: Option<String>,
}

/// List emails, newest first
///
/// For admins. What was sent in the last 30 days, and what is not sent yet.
#[utoipa::path(get, path = "/admin/mail", tag = "mail", security(("bearer" = [])),
    params(MailQuery),
    responses((status = 200, body = CursorPage<Mail>)))]
pub(crate) async fn list_mail(
    axum::extract::State(app): State,
    admin: Admin,
    Query(query): Query<MailQuery>,
) -> Result<Response> {
    let cursor = query.cursor.as_deref().unwrap_or_default();
    let scope = "mail".to_owned();
    let request = ListRequest::new(None, query.limit, Some(cursor), scope, KeyType::Number)?;
    let ListRequest::Cursor(request) = request else {
        return Err(Error::internal("expected a cursor"));
    };
    let mut listed = app
        .long_read_as(&admin, "mail.list", move |tx, _| super::after(tx, &request))
        .await?;
    let templates = templates(&app.config.data_dir, app.settings());
    let mails = listed.data.into_iter();
    listed.data = mails.map(|mail| mail.with_subject(&templates)).collect();
    respond::ok(&listed)
}

/// An email with its content.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailContent {
    #[serde(flatten)]
    mail: Mail,
    /// `null` for an email that was sent before the shop kept the content of sent emails.
    #[schema(required)]
    text: Option<String>,
    /// `null` for an email that was sent before the shop kept the content of sent emails.
    #[schema(required)]
    html: Option<String>,
}

/// Get an email with its content
///
/// For admins. Without a mail server emails are files, and this is the content of the file. Otherwise the email is rendered
/// again, with the current templates. Tokens of links are not stored; in files they are replaced by `…`, except in a demo.
#[utoipa::path(get, path = "/admin/mail/{id}", tag = "mail", security(("bearer" = [])),
    params(("id" = MailId, Path)),
    responses((status = 200, body = MailContent)))]
pub(crate) async fn get_mail(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<MailId>,
    _: NoQuery,
) -> Result<Response> {
    let mail = app
        .read_as(&admin, "mail.mail", move |tx, _| super::mail(tx, id))
        .await?;
    let templates = templates(&app.config.data_dir, app.settings());
    let content = content(&app, &mail, &templates).await?;
    let (text, html) = content.map(|it| (it.text, it.html)).unzip();
    let mail = mail.with_subject(&templates);
    respond::ok(&MailContent { mail, text, html })
}

/// Returns what an email says, or `None` if its data was not kept.
async fn content(app: &Arc<App>, mail: &Mail, templates: &Templates) -> Result<Option<SentCopy>> {
    let copy = app.mailer.sent_copy(mail.id).await;
    if let Some(copy) = copy.map_err(Error::internal)? {
        return Ok(Some(if app.demo { copy } else { blank(&copy) }));
    }
    let rendered = mail.rendered(templates)?;
    Ok(rendered.map(|it| SentCopy {
        text: it.text,
        html: it.html,
    }))
}

fn blank(copy: &SentCopy) -> SentCopy {
    SentCopy {
        text: blank_tokens(&copy.text),
        html: blank_tokens(&copy.html),
    }
}
