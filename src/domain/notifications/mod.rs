//! Mail: what transactions have left in the outbox is rendered and sent, as often as it takes. A mail
//! goes out after its transaction, at least once, under the same Message-ID every time; one that cannot
//! be sent stays, for an operator to see.

mod render;
mod store;
pub mod worker;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use self::render::{Rendered, Templates};
use crate::{
    app::App,
    core::{
        clock::{LONGEST_PAUSE, Timestamp, back_off},
        error::{Error, Kind, Result},
        id::{MailId, UserId},
        rng::Rng,
    },
    domain::accounts::{self, Purpose},
    infra::{
        db::Tx,
        jobs::{BackgroundJob, JobState},
        ports::{MailMessage, Refusal},
    },
};

/// How long a mail is tried.
const TRIED_FOR: Duration = Duration::from_hours(24);

/// How long a try is left alone; longer than any takes.
const CLAIM: Duration = Duration::from_mins(2);

/// How long a sent mail is remembered.
pub const REMEMBERED_FOR: Duration = Duration::from_hours(30 * 24);

/// Where a mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Waiting,
    Sent,
    /// Given up.
    Dead,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
            State::Dead => "dead",
        }
    }

    fn parse(text: &str) -> Option<State> {
        [State::Waiting, State::Sent, State::Dead]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A mail of the outbox, as operators see it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    pub id: MailId,
    pub to: String,
    pub subject: Option<String>,
    pub state: State,
    pub tries: i64,
    /// What the last try came to, where it failed.
    #[serde(rename = "lastError")]
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    #[serde(skip)]
    template: String,
    /// What the template is filled with, until it is sent.
    #[serde(skip)]
    data: Option<String>,
    #[serde(skip)]
    since: Timestamp,
    #[serde(skip)]
    message_id: Option<String>,
    /// What its link is for, and whose it is.
    #[serde(skip)]
    link_for: Option<(Purpose, UserId)>,
    /// The link of this attempt; never stored.
    #[serde(skip)]
    link: Option<String>,
}

/// What operators read in place of a link.
const NO_LINK: &str = "(a link that is made when the mail is sent)";

impl Mail {
    /// What the template is filled with, until it is sent.
    fn data(&self, link: &str) -> Result<Option<Value>> {
        let data = self.data.as_deref();
        let data = data.map(|data| serde_json::from_str::<Value>(data).map_err(Error::internal));
        let mut data = data.transpose()?;
        if let (Some(data), Some(_)) = (&mut data, self.link_for) {
            data["link"] = link.into();
        }
        Ok(data)
    }

    /// What it says, until it is sent; the link is left out.
    pub fn rendered(&self, templates: &Templates) -> Result<Option<Rendered>> {
        let data = self.data(NO_LINK)?;
        let rendered = data.map(|data| templates.render(&self.template, &data));
        rendered.transpose()
    }

    /// A server's answer without the token, which it may have repeated.
    fn without_token(&self, mut refusal: Refusal) -> Refusal {
        let link = self.link.as_deref().unwrap_or_default();
        if let Some((_, token)) = link.split_once("#token=") {
            refusal.why = refusal.why.replace(token, "…");
        }
        refusal
    }

    /// The letter to send.
    fn letter(&self, templates: &Templates) -> Result<MailMessage> {
        let gone = || Error::internal("a mail has nothing to say");
        let link = self.link.as_deref().unwrap_or(NO_LINK);
        let data = self.data(link)?.ok_or_else(gone)?;
        let rendered = templates.render(&self.template, &data)?;
        Ok(MailMessage {
            message_id: self.message_id.clone().ok_or_else(gone)?,
            to: self.to.clone(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            written_at: self.created_at,
            link: data["link"].as_str().map(str::to_owned),
        })
    }
}

/// The templates as they are now.
pub fn templates(app: &App) -> Templates {
    let own = app.config.data_dir.join("templates");
    Templates::new(&own, &app.public_url, app.config.currency)
}

/// Takes up to `most` mails whose time has come, and makes the tokens of their links. Nobody else takes
/// them before the try must have ended.
pub fn take_due(tx: &mut Tx<'_>, app: &App, most: i64) -> Result<Vec<Mail>> {
    let mut mails = store::due(tx, absurd(tx), most)?;
    let (until, domain) = (tx.now().plus(CLAIM), app.mailer.domain());
    for mail in &mut mails {
        let id = mail.id;
        let message_id = mail
            .message_id
            .get_or_insert_with(|| format!("{id}@{domain}"));
        store::claim(tx, id, message_id, until)?;
        mail.tries += 1;
        if let Some((purpose, user)) = mail.link_for {
            mail.link = Some(accounts::new_link(tx, app, user, purpose)?);
        }
    }
    Ok(mails)
}

/// Whether there is something to take.
pub fn is_any_due(tx: &mut Tx<'_>) -> Result<bool> {
    let absurd = absurd(tx);
    store::is_any_due(tx, absurd)
}

/// No time that is due lies further ahead than this.
fn absurd(tx: &Tx<'_>) -> Timestamp {
    tx.now().plus(LONGEST_PAUSE * 2)
}

/// Writes down that a mail has left.
pub fn note_sent(tx: &mut Tx<'_>, id: MailId, subject: &str) -> Result<()> {
    store::sent(tx, id, subject)
}

/// Writes down why a mail has not left, and when it is tried again; tells whether it will be.
pub fn note_failed(tx: &mut Tx<'_>, mail: &Mail, refusal: &Refusal) -> Result<bool> {
    let next = tx.now().plus(pause(mail.tries, tx.rng()));
    let is_over = refusal.is_final || next > mail.since.plus(TRIED_FOR);
    let next = (!is_over).then_some(next);
    store::failed(tx, mail.id, &refusal.why, next)?;
    Ok(next.is_some())
}

/// 1, 2, 4 … seconds after so many tries, more or less by a fifth, so that what failed together does not
/// come again together.
fn pause(tries: i64, rng: &Rng) -> Duration {
    let percent = u32::try_from(80 + rng.below(41)).unwrap_or(100);
    back_off(tries) * percent / 100
}

/// Lets what waits be tried at once, as at each start. `is_alone`: no other program can be in the middle
/// of a try.
pub fn hasten(tx: &mut Tx<'_>, is_alone: bool) -> Result<u64> {
    store::hasten(tx, is_alone)
}

/// The outbox, the newest first.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Mail>> {
    store::list(tx)
}

pub fn mail(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    store::by_id(tx, id)?.ok_or_else(|| Error::not_found("mail"))
}

/// Has a mail tried again, now and for another day.
pub fn retry(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    if mail(tx, id)?.state == State::Sent {
        let detail = "this mail was sent, and what it said is erased; ask for a new one";
        return Err(Error::new(Kind::Unavailable, detail));
    }
    store::retry(tx, id)?;
    mail(tx, id)
}

/// Takes a dead mail off the list, by deleting it.
///
/// Errors: `unavailable` where it was sent, or is still attempted.
pub fn drop_dead(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    let found = mail(tx, id)?;
    if found.state != State::Dead {
        let state = found.state.as_str();
        let detail = format!("this mail is {state}; only a dead one can be dropped");
        return Err(Error::unavailable(detail));
    }
    store::delete(tx, id)?;
    Ok(found)
}

/// The mails that wait, or that were given up, by when they are due.
pub fn jobs(tx: &mut Tx<'_>, state: JobState) -> Result<Vec<BackgroundJob>> {
    store::jobs(tx, state)
}

/// As [`retry`]; returns whether a mail that is not sent has that id.
pub fn retry_job(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    let is_job = is_job(tx, id)?;
    if is_job {
        store::retry(tx, id)?;
    }
    Ok(is_job)
}

/// As [`drop_dead`]; returns whether a mail that is not sent has that id.
pub fn drop_job(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    let is_job = is_job(tx, id)?;
    if is_job {
        drop_dead(tx, id)?;
    }
    Ok(is_job)
}

fn is_job(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    Ok(store::by_id(tx, id)?.is_some_and(|mail| mail.state != State::Sent))
}

/// Forgets mails that were sent long ago.
pub fn forget_sent(tx: &mut Tx<'_>) -> Result<u64> {
    let before = tx.now().minus(REMEMBERED_FOR);
    store::forget_sent(tx, before)
}
