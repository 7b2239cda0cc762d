//! `shop admin payments …`.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::jobs::parse_note;
use crate::{
    app::App,
    cli::output::{Output, amount, counter, note},
    core::{
        error::{Error, Result},
        id::PaymentId,
        money::Money,
        pagination::{PageLimit, PageRequest},
    },
    domain::{
        payments::{self, LedgerEntry, ListedStatus, Note, Totals},
        settlement::{self, Reconciled},
    },
};

/// How many payments the list shows.
const SHOWN: PageRequest = PageRequest {
    page: 1,
    limit: PageLimit::MOST,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Payments {
    /// List the newest payments, or what the provider sent that fits none and a person must see
    List {
        /// `unmatched`, `resolved`, `captured`, `refunded`, `failed` or `created`
        #[arg(long, value_name = "STATUS", value_parser = status)]
        status: Option<ListedStatus>,
    },
    /// Ask the provider for what lost webhooks would have told, of the last thirty days
    Reconcile,
    /// Take an unmatched payment off the list
    Resolve {
        /// As the list shows it
        id: String,
        /// What was done about it
        #[arg(long, value_parser = parse_note)]
        note: Note,
    },
}

/// What the provider's record told, and what the shop's own comes to.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    news: Reconciled,
    totals: Totals,
}

impl Payments {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Payments::List { status } => list(app, output, status).await,
            Payments::Reconcile => reconcile(app, output).await,
            Payments::Resolve { id, note } => {
                let wrong = "must be an id that `shop admin payments list` shows";
                let id: PaymentId = id
                    .parse()
                    .map_err(|_| Error::field("ID", "invalid", wrong))?;
                let entry = app
                    .db
                    .write("payments.resolve", move |tx| {
                        payments::resolve(tx, id.0, None, &note)
                    })
                    .await?;
                output.one(&entry, &format!("{} is off the list", entry.id))
            }
        }
    }
}

async fn list(app: &Arc<App>, output: Output, status: Option<ListedStatus>) -> Result<()> {
    let listed = app
        .db
        .long_read("payments.list", move |tx| payments::list(tx, status, SHOWN))
        .await?;
    let head = [
        "id",
        "status",
        "order",
        "transaction",
        "amount",
        "created",
        "why",
    ];
    // What fits no order can be any number, in any currency.
    let sum = |entry: &LedgerEntry| {
        let minor = entry.amount?;
        let reason = entry.reason.as_deref().unwrap_or_default();
        Some(match Money::try_from(minor) {
            Ok(money) if !reason.ends_with("another currency") => amount(app, money),
            _ => format!("{minor} minor units"),
        })
    };
    output.table(&head, &listed.data, |entry| {
        vec![
            entry.id.to_string(),
            entry.status.clone(),
            entry.order_id.map(|id| id.to_string()).unwrap_or_default(),
            entry.transaction_id.clone().unwrap_or_default(),
            sum(entry).unwrap_or_default(),
            entry.created_at.to_string(),
            entry.reason.clone().unwrap_or_default(),
        ]
    })?;
    if listed.total > SHOWN.limit {
        let all = "`GET /api/v1/admin/payments` gives all";
        note(&format!("the {} newest are shown; {all}", SHOWN.limit));
    }
    Ok(())
}

async fn reconcile(app: &Arc<App>, output: Output) -> Result<()> {
    let counter = counter("payments");
    let done = settlement::reconcile(app, |compared| counter.set_position(compared as u64)).await;
    counter.finish_and_clear();
    let done = done?;
    let totals = app
        .db
        .long_read("payments.totals", payments::totals)
        .await?;
    // A sum past the largest amount is shown as that.
    let sum = |money: Money| {
        let is_capped = money.get() == Money::MOST;
        amount(app, money) + if is_capped { " or more" } else { "" }
    };
    let twice = match done.duplicates {
        0 => String::new(),
        count => format!(", {count} paid twice"),
    };
    let words = format!(
        "compared {} payments: {} captured, {} failed, {} refunded, {} unmatched{twice}\n\
         on record since the beginning: {} captured, {} went back, {} unmatched",
        done.compared,
        done.captured,
        done.failed,
        done.refunded,
        done.unmatched,
        sum(totals.captured),
        sum(totals.refunded),
        sum(totals.unmatched),
    );
    let told = Told {
        news: done.clone(),
        totals,
    };
    output.one(&told, &words)?;
    let Some(first) = done.troubles.first() else {
        return Ok(());
    };
    Err(Error::unavailable(format!(
        "could not compare {} of {}; the first: {first}",
        done.troubles.len(),
        done.compared
    )))
}

fn status(text: &str) -> Result<ListedStatus, String> {
    ListedStatus::parse(&text.to_ascii_lowercase())
        .ok_or_else(|| format!("must be one of {}", ListedStatus::names()))
}
