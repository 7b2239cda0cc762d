//! Checks that each unsent email has a job, and each job an unsent email.

use super::store;
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings},
    },
    infra::{db::Tx, jobs::missing_row, outbox::SEND_MAIL},
};

/// Reports unsent emails without a job, and jobs without an unsent email.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let mails = store::without_job(tx)?.into_iter();
    let mails = mails.map(|id| {
        let remedy = format!(
            "`shop admin mail retry {id}` sends it, `shop admin mail drop {id}` deletes it"
        );
        let message = format!("it is not sent, but has no job; {remedy}");
        Finding::new(format!("email {id}"), message)
    });
    let jobs = store::jobs_without_mail(tx)?.into_iter();
    let jobs = jobs.map(|(id, state)| missing_row(SEND_MAIL, id, state, "unsent email"));
    findings.record("mail-job", mails.chain(jobs));
    Ok(())
}
