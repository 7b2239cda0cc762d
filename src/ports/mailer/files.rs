//! Mail as files, for a shop without a mail server: each letter is an `.eml` that every mail program
//! opens, and a line in the log.

use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use tokio::io::AsyncWriteExt;

use super::{Letter, Mailer, message};
use crate::{file_modes, ports::Refusal};

pub struct Files {
    directory: PathBuf,
    from: Mailbox,
}

impl Files {
    /// The directory is made with the first letter.
    pub fn new(directory: PathBuf, from: Mailbox) -> Files {
        Files { directory, from }
    }

    /// Named after the letter, so that a repeat falls on the same file.
    fn path(&self, letter: &Letter) -> PathBuf {
        let name = letter.message_id.split('@').next().unwrap_or_default();
        self.directory.join(format!("{name}.eml"))
    }
}

impl Mailer for Files {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let path = self.path(letter);
            let message = message(letter, &self.from)?.formatted();
            write(&path, &message).await.map_err(|error| {
                Refusal::passing(format!("cannot write `{}`: {error}", path.display()))
            })?;
            tracing::info!(
                to = letter.to,
                subject = letter.subject,
                file = %path.display(),
                link = letter.link.as_deref().unwrap_or_default(),
                "no mail server is set up: a mail was written to a file"
            );
            Ok(())
        })
    }

    fn domain(&self) -> String {
        self.from.email.domain().to_owned()
    }
}

/// Writes the whole file or none of it, for its owner only: it may hold a token.
async fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        file_modes::create_directory(directory)?;
    }
    let draft = path.with_extension("draft");
    let mut options = file_modes::open_options();
    options.write(true).create(true).truncate(true);
    let mut file = tokio::fs::OpenOptions::from(options).open(&draft).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&draft, path).await
}
