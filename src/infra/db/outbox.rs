//! The transactional outbox: an operation inserts its emails as rows, and the worker sends them after the
//! commit.

use serde::Serialize;

use super::Tx;
use crate::{
    core::{
        error::{Error, Result},
        id::{MailId, UserId},
    },
    infra::db::params,
};

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
        self.execute(
            "DELETE FROM outbox
             WHERE link_user_id = ?2 AND link_purpose = ?1 AND state <> 'sent'",
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
            "INSERT INTO outbox (id, recipient, template, data, link_purpose, link_user_id, state,
                                 tries, since, due_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?6, ?7, 'waiting', 0, ?5, ?5, ?5)",
            params![id, to, template, &data, now, purpose, user],
            1,
            || Error::internal("an email was not queued"),
        )
    }

    /// Discards all further emails of this transaction. For seed data, whose users are fictional.
    pub fn discard_mail(&mut self) {
        self.discards_mail = true;
    }
}
