//! Emails in the outbox.

use serde::Serialize;
use serde_json::Value;
use strum::IntoStaticStr;
use utoipa::ToSchema;

use super::templates::{RenderedEmail, Templates};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{MailId, UserId},
    },
    domain::accounts::LinkPurpose,
    infra::{
        jobs::{Job, JobState},
        ports::{MailMessage, Refusal},
    },
};

/// The state of an email in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr, ToSchema)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum MailState {
    Waiting,
    Sent,
    /// Given up: the retries are used up, or the error is permanent.
    Dead,
}

impl MailState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<JobState> for MailState {
    fn from(state: JobState) -> MailState {
        match state {
            JobState::Waiting => MailState::Waiting,
            JobState::Dead => MailState::Dead,
        }
    }
}

/// An email in the outbox, as operators see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    pub id: MailId,
    pub to: String,
    #[schema(required)]
    pub subject: Option<String>,
    pub state: MailState,
    #[serde(rename = "tries")]
    pub attempts: i64,
    /// The error of the last attempt, if it failed.
    #[serde(rename = "lastError")]
    #[schema(required)]
    pub error: Option<String>,
    pub created_at: Timestamp,
    #[schema(required)]
    pub sent_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) template: String,
    /// The template's data as JSON. Emails that were sent before sent emails kept it have none.
    #[serde(skip)]
    pub(super) data: Option<String>,
    #[serde(skip)]
    pub(super) message_id: Option<String>,
    /// The purpose of the link in this email, and the account that it belongs to.
    #[serde(skip)]
    pub(super) link_for: Option<(LinkPurpose, UserId)>,
    /// The link of the current attempt; never stored.
    #[serde(skip)]
    pub(super) link: Option<String>,
}

/// Comes before the token in a link.
const TOKEN: &str = "#token=";

/// Returns a text with `…` instead of each token of a link.
pub(super) fn blank_tokens(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut parts = text.split(TOKEN);
    let mut blanked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        blanked.push_str(TOKEN);
        blanked.push('…');
        blanked.push_str(part.trim_start_matches(is_token));
    }
    blanked
}

/// Replaces the link where operators read an email.
const LINK_PLACEHOLDER: &str = "(the link is created when the email is sent)";

impl Mail {
    /// Returns an unsent email with the state of its job. Without a job nothing sends it.
    pub(super) fn with_job(self, job: Option<&Job>) -> Mail {
        if self.state == MailState::Sent {
            return self;
        }
        Mail {
            state: job.map_or(MailState::Dead, |job| job.state.into()),
            attempts: job.map_or(0, |job| job.attempts),
            error: job.and_then(|job| job.last_error.clone()),
            ..self
        }
    }

    /// Returns the template's data with this link, or `None` if it was not kept.
    fn data(&self, link: &str) -> Result<Option<Value>> {
        let data = self.data.as_deref();
        let data = data.map(|data| serde_json::from_str::<Value>(data).map_err(Error::internal));
        let mut data = data.transpose()?;
        if let (Some(data), Some(_)) = (&mut data, self.link_for) {
            data["link"] = link.into();
        }
        Ok(data)
    }

    /// Fills in the subject. It is stored only once the email is sent; until then the template determines it.
    #[must_use]
    pub fn with_subject(mut self, templates: &Templates) -> Mail {
        if self.subject.is_none()
            && let Ok(Some(rendered)) = self.rendered(templates)
        {
            self.subject = Some(rendered.subject);
        }
        self
    }

    /// Renders the email without its link, for an operator. Returns `None` if its data was not kept.
    pub fn rendered(&self, templates: &Templates) -> Result<Option<RenderedEmail>> {
        let data = self.data(LINK_PLACEHOLDER)?;
        let rendered = data.map(|data| templates.render(&self.template, &data));
        rendered.transpose()
    }

    /// Renders the message to send.
    pub(super) fn message(&self, templates: &Templates) -> Result<MailMessage> {
        let missing = || Error::internal("the email has no data or no Message-ID");
        let link = self.link.as_deref().unwrap_or(LINK_PLACEHOLDER);
        let data = self.data(link)?.ok_or_else(missing)?;
        let rendered = templates.render(&self.template, &data)?;
        Ok(MailMessage {
            message_id: self.message_id.clone().ok_or_else(missing)?,
            to: self.to.clone(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            written_at: self.created_at,
            link: data["link"].as_str().map(str::to_owned),
        })
    }

    /// Removes the link's token from the mail server's reply, which may quote the message.
    pub(super) fn redact_token(&self, mut refusal: Refusal) -> Refusal {
        let link = self.link.as_deref().unwrap_or_default();
        if let Some((_, token)) = link.split_once(TOKEN) {
            refusal.why = refusal.why.replace(token, "…");
        }
        refusal
    }
}
