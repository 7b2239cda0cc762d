//! `shop admin audit`: lists the audit log and verifies its chain.

use std::sync::Arc;

use clap::Args;

use crate::{
    app::App,
    cli::{
        output::{Output, print_message},
        paging::{PageArgs, remaining_pages},
    },
    core::{
        audit::Change,
        error::{Error, Result},
        pagination::PageRequest,
    },
    infra::audit::{self, Entry},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Audit {
    /// Verify that no entry was changed or removed, instead of listing them
    #[arg(long, conflicts_with_all = ["page", "limit"])]
    verify: bool,
    #[command(flatten)]
    page: PageArgs,
}

impl Audit {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        // Entries without a number are not listed yet.
        app.db.flush_events().await?;
        if self.verify {
            verify(app, output).await
        } else {
            list(app, output, self.page.into()).await
        }
    }
}

/// Errors: `CommandFailed` for the first entry that does not continue the chain.
async fn verify(app: &Arc<App>, output: Output) -> Result<()> {
    let head = app.db.long_read("audit.check", audit::check).await?;
    let head = head.map_err(|broken| {
        let detail = format!("audit entry {}: {}", broken.seq, broken.message);
        Error::command_failed(detail)
    })?;
    let summary = format!("entries: {}; hash of the last: {}", head.seq, head.hash);
    output.value(&head, &summary)
}

async fn list(app: &Arc<App>, output: Output, page: PageRequest) -> Result<()> {
    let page = app
        .db
        .long_read("audit.page", move |tx| audit::page(tx, page))
        .await?;
    let headings = ["seq", "at", "actor", "action", "target", "changes"];
    output.table(&headings, &page.data, |entry| {
        vec![
            entry.seq.to_string(),
            entry.at.to_string(),
            format!("{} {}", entry.actor.kind, entry.actor.name),
            entry.action.clone(),
            target(entry),
            entry
                .changes
                .iter()
                .map(change)
                .collect::<Vec<_>>()
                .join(", "),
        ]
    })?;
    if let Some(text) = remaining_pages(&page) {
        print_message(&text);
    }
    Ok(())
}

fn target(entry: &Entry) -> String {
    match &entry.target.id {
        Some(id) => format!("{} {id}", entry.target.kind),
        None => entry.target.kind.clone(),
    }
}

fn change(change: &Change) -> String {
    format!("{}: {} → {}", change.field, change.from, change.to)
}
