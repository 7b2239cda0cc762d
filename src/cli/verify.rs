//! `shop verify`: the shop's own rules on its own data. It must never guess about money: what it mends is
//! what the rest of the data tells for certain.

use std::sync::Arc;

use super::{
    Pictures,
    output::{Output, note},
};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        finding::{Finding, Findings, MOST},
    },
    domain::{catalog, media, orders, payments},
    infra::{bus, config::Config, db::Tx},
};

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Mend what the rest of the data tells for certain: kept counts, movements of stock, and what
    /// products show of their pictures
    #[arg(long)]
    repair: bool,
}

impl Verify {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        let (_home, app) = super::open(config, Pictures::Handled).await?;
        let told = self.tell(&app, output).await;
        app.stopping.cancel();
        app.db.close().await;
        told
    }

    async fn tell(self, app: &Arc<App>, output: Output) -> Result<()> {
        let mut findings = find(app).await?;
        if self.repair && !findings.all.is_empty() {
            let mut found = findings.all;
            let mend = move |tx: &mut Tx<'_>| {
                catalog::repair(tx, &mut found)?;
                Ok(found.clone())
            };
            findings.all = app.db.write("catalog.repair", mend).await?;
        }
        let all = &findings.all;
        if all.is_empty() {
            return output.one(all, &format!("all {} checks hold", findings.checks));
        }
        output.table(&["check", "row", "says", "repaired"], all, |finding| {
            let repaired = if finding.repaired { "yes" } else { "no" };
            vec![
                finding.check.to_owned(),
                finding.row.clone(),
                finding.says.clone(),
                repaired.to_owned(),
            ]
        })?;
        for check in &findings.cut {
            note(&format!(
                "`{check}` has more than {MOST} findings; the first are shown"
            ));
        }
        verdict(&findings)
    }
}

/// What a domain has to say of its rows.
type Check = fn(&mut Tx<'_>, &mut Findings) -> Result<()>;

/// Makes all checks, each domain's on a snapshot of its own.
async fn find(app: &Arc<App>) -> Result<Findings> {
    let mut findings = Findings::default();
    let checks: [(&'static str, Check); 5] = [
        ("bus.verify", bus::verify),
        ("media.verify", media::verify),
        ("catalog.verify", catalog::verify),
        ("payments.verify", payments::verify),
        ("orders.verify", orders::verify),
    ];
    // Every event that is committed has its number then.
    app.db.flush_events().await?;
    for (name, check) in checks {
        let before = findings.clone();
        let made = move |tx: &mut Tx<'_>| {
            let mut findings = before.clone();
            check(tx, &mut findings)?;
            Ok(findings)
        };
        findings = app.db.long_read(name, made).await?;
    }
    let elsewhere = media::worker::look_for_all(app, &mut findings).await?;
    if elsewhere > 0 {
        note(&format!(
            "pictures at URLs, which nobody looks for: {elsewhere}"
        ));
    }
    Ok(findings)
}

/// What is left to do, if anything is.
fn verdict(findings: &Findings) -> Result<()> {
    let all = &findings.all;
    let is_left = |finding: &&Finding| !finding.repaired;
    let left = all.iter().filter(is_left).count();
    let mendable = all.iter().filter(is_left).filter(|f| f.mendable.is_some());
    let why = match (left, mendable.count()) {
        (0, _) if findings.cut.is_empty() => return Ok(()),
        (0, _) => "all that is shown was repaired, and there is more; run it again".to_owned(),
        (left, 0) => format!("findings for a person: {left}; each says what to do"),
        (left, mendable) => {
            format!("findings: {left}; `shop verify --repair` mends {mendable} of them")
        }
    };
    Err(Error::unavailable(why))
}
