//! `shop admin payments …`.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::jobs::parse_note;
use crate::{
    app::App,
    cli::{
        output::{Output, format_amount, print_message},
        progress,
        write::write,
    },
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        id::PaymentId,
        money::Money,
        pagination::{PageLimit, PageRequest},
    },
    domain::{
        payments::{self, LedgerEntry, ListedStatus, Mismatch, Note, Totals},
        settlement::{self, Reconciled},
    },
    infra::db::Tx,
};

/// The page that `list` shows.
const FIRST_PAGE: PageRequest = PageRequest {
    page: 1,
    limit: PageLimit::MAX,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Payments {
    /// List the newest payments
    ///
    /// A payment is `unmatched` if it fits no order, e.g. because of its amount; someone has to resolve it.
    List {
        /// Only payments with this status: `unmatched`, `resolved`, `captured`, `refunded`, `failed` or
        /// `created`
        #[arg(long, value_name = "STATUS", value_parser = parse_status)]
        status: Option<ListedStatus>,
    },
    /// Fetch the payments of the last 30 days from the provider, and apply the events of lost webhooks
    Reconcile,
    /// Mark an unmatched payment as resolved
    Resolve {
        /// Id of the payment, see `shop admin payments list`
        id: String,
        /// What was done about it
        #[arg(long, value_parser = parse_note)]
        note: Note,
    },
}

/// The result of a reconciliation, with the totals of all recorded payments.
#[derive(Debug, Serialize)]
struct ReconcileReport {
    #[serde(flatten)]
    reconciled: Reconciled,
    totals: Totals,
}

impl Payments {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Payments::List { status } => list(app, output, status).await,
            Payments::Reconcile => reconcile(app, output).await,
            Payments::Resolve { id, note } => {
                let id = parse_id(&id)?;
                let resolve = move |tx: &mut Tx<'_>| payments::resolve(tx, id.0, None, &note);
                let entry = write(app, "payments.resolve", resolve).await?;
                output.value(&entry, &format!("resolved {}", entry.id))
            }
        }
    }
}

async fn list(app: &Arc<App>, output: Output, status: Option<ListedStatus>) -> Result<()> {
    let payments = app
        .db
        .long_read("payments.list", move |tx| {
            payments::list(tx, status, FIRST_PAGE)
        })
        .await?;
    let headings = [
        "id",
        "status",
        "order",
        "transaction",
        "amount",
        "created",
        "reason",
    ];
    output.table(&headings, &payments.data, |entry| {
        vec![
            entry.id.to_string(),
            entry.status.clone(),
            entry.order_id.map(|id| id.to_string()).unwrap_or_default(),
            entry.transaction_id.clone().unwrap_or_default(),
            display_amount(app, entry).unwrap_or_default(),
            entry.created_at.to_string(),
            entry.reason.clone().unwrap_or_default(),
        ]
    })?;
    if payments.total > FIRST_PAGE.limit {
        print_message(&format!(
            "only the {} newest payments are listed; use `GET /api/v1/admin/payments` for all",
            FIRST_PAGE.limit
        ));
    }
    Ok(())
}

/// The amount of an unmatched payment can be any number, in any currency.
fn display_amount(app: &App, entry: &LedgerEntry) -> Option<String> {
    let minor = entry.amount?;
    Some(match Money::try_from(minor) {
        Ok(money) if entry.mismatch != Some(Mismatch::Currency) => format_amount(app, money),
        _ => format!("{minor} minor units"),
    })
}

async fn reconcile(app: &Arc<App>, output: Output) -> Result<()> {
    let counter = progress::counter("payments");
    let reconciled =
        settlement::reconcile(app, |compared| counter.set_position(compared as u64)).await;
    counter.finish_and_clear();
    let reconciled = reconciled?;
    // Each payment was processed in a transaction of its own, like the report of a webhook.
    let counts = Changes::none()
        .with("compared", reconciled.compared)
        .with("captured", reconciled.captured)
        .with("failed", reconciled.failed)
        .with("refunded", reconciled.refunded)
        .with("unmatched", reconciled.unmatched)
        .with("duplicates", reconciled.duplicates)
        .with("failures", reconciled.failures.len());
    write(app, "payments.audit_reconcile", move |tx| {
        tx.audit(Action::PaymentReconcile, None, || counts.clone())
    })
    .await?;
    let report = ReconcileReport {
        reconciled,
        totals: app
            .db
            .long_read("payments.totals", payments::totals)
            .await?,
    };
    output.value(&report, &report.summary(app))?;
    let ReconcileReport { reconciled, .. } = report;
    let Some(first) = reconciled.failures.first() else {
        return Ok(());
    };
    Err(Error::unavailable(format!(
        "could not compare {} of {} payments; the first error: {first}",
        reconciled.failures.len(),
        reconciled.compared
    )))
}

impl ReconcileReport {
    fn summary(&self, app: &App) -> String {
        let ReconcileReport { reconciled, totals } = self;
        // A sum is capped at the largest amount.
        let total = |money: Money| {
            let is_capped = money.get() == Money::MAX;
            format_amount(app, money) + if is_capped { " or more" } else { "" }
        };
        let duplicates = match reconciled.duplicates {
            0 => String::new(),
            count => format!(", {count} duplicate"),
        };
        format!(
            "compared {} payments: {} captured, {} failed, {} refunded, {} unmatched{duplicates}\n\
             totals: {} captured, {} refunded, {} unmatched",
            reconciled.compared,
            reconciled.captured,
            reconciled.failed,
            reconciled.refunded,
            reconciled.unmatched,
            total(totals.captured),
            total(totals.refunded),
            total(totals.unmatched),
        )
    }
}

fn parse_status(text: &str) -> Result<ListedStatus, String> {
    ListedStatus::parse(&text.to_ascii_lowercase())
        .ok_or_else(|| format!("must be one of {}", ListedStatus::names()))
}

fn parse_id(text: &str) -> Result<PaymentId> {
    text.parse().map_err(|_| {
        let message = "must be an id listed by `shop admin payments list`";
        Error::field("ID", "invalid", message)
    })
}
