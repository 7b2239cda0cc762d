//! `shop verify`: checks the consistency of the shop's data.
//!
//! `--repair` changes only rows whose correct content follows from other rows. It never guesses about money.

use std::sync::Arc;

use super::{
    open::{self, ImageAccess},
    output::{Output, print_message, yes_or_no},
    write::write,
};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        finding::{Finding, Findings, MAX_FINDINGS},
    },
    domain::{cart, catalog, media, notifications, orders, payments},
    infra::{audit, bus, config::Config, db::Tx},
};

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Repair what can be derived from other data: counters, stock movements, and the images listed in
    /// products
    #[arg(long)]
    repair: bool,
}

impl Verify {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        let (_data_dir, app) = open::open(config, ImageAccess::Needed).await?;
        let result = check_and_report(&app, self.repair, output).await;
        open::close(&app).await;
        result
    }
}

/// Checks the shop's data and prints the findings. With `repair`, repairs what other data determines.
///
/// Errors: `Unavailable` if anything is left to repair.
pub(super) async fn check_and_report(app: &Arc<App>, repair: bool, output: Output) -> Result<()> {
    let mut findings = check(app).await?;
    if repair && !findings.all.is_empty() {
        let mut found = findings.all;
        let repair = move |tx: &mut Tx<'_>| {
            catalog::repair(tx, &mut found)?;
            Ok(found.clone())
        };
        findings.all = write(app, "catalog.repair", repair).await?;
    }
    let all = &findings.all;
    if all.is_empty() {
        return output.value(all, &format!("{} checks passed", findings.checks));
    }
    let headings = ["check", "row", "problem", "repaired"];
    output.table(&headings, all, |finding| {
        vec![
            finding.check.to_owned(),
            finding.row.clone(),
            finding.message.clone(),
            yes_or_no(finding.repaired).to_owned(),
        ]
    })?;
    for check in &findings.truncated {
        print_message(&format!(
            "`{check}` has more than {MAX_FINDINGS} findings; only the first {MAX_FINDINGS} are listed"
        ));
    }
    result_of(&findings)
}

type Check = fn(&mut Tx<'_>, &mut Findings) -> Result<()>;

/// Runs all checks, those of each module in a separate snapshot.
async fn check(app: &Arc<App>) -> Result<Findings> {
    let mut findings = Findings::default();
    let checks: [(&'static str, Check); 8] = [
        ("bus.verify", bus::verify),
        ("audit.verify", audit::verify),
        ("media.verify", media::verify),
        ("catalog.verify", catalog::verify),
        ("cart.verify", cart::verify),
        ("payments.verify", payments::verify),
        ("orders.verify", orders::verify),
        ("notifications.verify", notifications::verify),
    ];
    // Assigns sequence numbers to all committed events and audit entries; until then they look like gaps.
    app.db.flush_events().await?;
    for (name, check) in checks {
        let before = findings.clone();
        let run = move |tx: &mut Tx<'_>| {
            let mut findings = before.clone();
            check(tx, &mut findings)?;
            Ok(findings)
        };
        findings = app.db.long_read(name, run).await?;
    }
    let unchecked = media::worker::check_stored_images(app, &mut findings).await?;
    if unchecked > 0 {
        print_message(&format!(
            "images at external URLs, which are not checked: {unchecked}"
        ));
    }
    Ok(findings)
}

/// Errors: `CommandFailed` if anything is left to repair.
fn result_of(findings: &Findings) -> Result<()> {
    let left: Vec<&Finding> = findings.all.iter().filter(|it| !it.repaired).collect();
    let repairable = left.iter().filter(|it| it.repairable.is_some()).count();
    let detail = match (left.len(), repairable) {
        (0, _) if findings.truncated.is_empty() => return Ok(()),
        (0, _) => "all listed findings were repaired, but there are more; run it again".to_owned(),
        (left, 0) => format!("findings that need manual action: {left}; each says what to do"),
        (left, repairable) => {
            format!("findings: {left}; `shop verify --repair` can repair {repairable} of them")
        }
    };
    Err(Error::command_failed(detail))
}
