//! The transactional outbox: an operation inserts its emails as rows with a job each, and the worker sends them
//! after the commit.

use serde::Serialize;

use crate::{
    core::{
        error::{Error, Result},
        id::{MailId, UserId},
    },
    infra::{
        db::{Tx, params},
        jobs::NewJob,
    },
};

/// The kind of the jobs that send an email. Their subject is the email's id.
pub const SEND_MAIL: &str = "send-mail";

impl Tx<'_> {
    /// Queues an email to the address `to`. After the commit the worker renders `template` with `data` and
    /// sends it, with retries.
    pub fn mail(&mut self, to: &str, template: &str, data: &impl Serialize) -> Result<()> {
        let id = self.id();
        self.mail_with_id(id, to, template, data)
    }

    /// Like [`Tx::mail`], for a template with a one-time link for a user. `link` is the purpose and the user.
    /// The outbox stores no token: each attempt to send generates a new one.
    pub fn mail_with_link(
        &mut self,
        to: &str,
        template: &str,
        data: &impl Serialize,
        link: (&str, UserId),
    ) -> Result<()> {
        let id = self.id();
        self.insert_mail(id, to, template, data, Some(link))
    }

    /// Deletes unsent emails that contain a link with this purpose for `user`.
    pub fn delete_unsent_mails(&mut self, purpose: &str, user: UserId) -> Result<()> {
        // In this order: attempts lock the job before the email.
        self.execute(
            "DELETE FROM jobs WHERE kind = ?3 AND subject_id IN (
                 SELECT id FROM outbox
                 WHERE link_user_id = ?2 AND link_purpose = ?1 AND sent_at IS NULL)",
            params![purpose, user, SEND_MAIL],
        )?;
        self.execute(
            "DELETE FROM outbox
             WHERE link_user_id = ?2 AND link_purpose = ?1 AND sent_at IS NULL",
            params![purpose, user],
        )?;
        Ok(())
    }

    /// Like [`Tx::mail`], with an id that was generated earlier.
    pub fn mail_with_id(
        &mut self,
        id: MailId,
        to: &str,
        template: &str,
        data: &impl Serialize,
    ) -> Result<()> {
        self.insert_mail(id, to, template, data, None)
    }

    fn insert_mail(
        &mut self,
        id: MailId,
        to: &str,
        template: &str,
        data: &impl Serialize,
        link: Option<(&str, UserId)>,
    ) -> Result<()> {
        if self.discards_mail {
            return Ok(());
        }
        let data = serde_json::to_string(data).map_err(Error::internal)?;
        let (purpose, user) = link.unzip();
        let now = self.now();
        self.expect(
            "INSERT INTO outbox (id, recipient, template, data, link_purpose, link_user_id, tries,
                                 created_at)
             VALUES (?1, ?2, ?3, ?4, ?6, ?7, 0, ?5)",
            params![id, to, template, &data, now, purpose, user],
            1,
            || Error::internal("an email was not queued"),
        )?;
        self.enqueue_mail(id)
    }

    /// Adds the job that sends an email, unless there is one.
    pub fn enqueue_mail(&mut self, id: MailId) -> Result<()> {
        let due_at = self.now();
        self.enqueue(&NewJob {
            kind: SEND_MAIL,
            subject: id.0,
            payload: "",
            due_at,
        })
    }

    /// Discards all further emails of this transaction. For seed data, whose users are fictional.
    pub fn discard_mail(&mut self) {
        self.discards_mail = true;
    }
}
