//! Mail as files, for a shop without a mail server: each letter is an `.eml` that every mail program
//! opens, and a line in the log. Only a demo logs the links, which let their reader into an account.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use tokio::io::AsyncWriteExt;

use super::{MailMessage, Mailer, message};
use crate::{
    core::clock::Timestamp,
    infra::{file_modes, ports::Refusal},
};

/// Where the files are, in the data directory.
pub const DIRECTORY: &str = "mail";

pub struct Files {
    directory: PathBuf,
    from: Mailbox,
    logs_links: bool,
}

impl Files {
    /// The directory is created with the first letter. `logs_links`: the log shows each letter's link.
    pub fn new(directory: PathBuf, from: Mailbox, logs_links: bool) -> Files {
        Files {
            directory,
            from,
            logs_links,
        }
    }

    /// Named after the letter, so that a repeat falls on the same file.
    fn path(&self, letter: &MailMessage) -> PathBuf {
        let name = letter.message_id.split('@').next().unwrap_or_default();
        self.directory.join(format!("{name}.eml"))
    }
}

impl Mailer for Files {
    fn send<'a>(&'a self, letter: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let path = self.path(letter);
            let message = message(letter, &self.from)?.formatted();
            write(&path, &message).await.map_err(|error| {
                Refusal::passing(format!("cannot write `{}`: {error}", path.display()))
            })?;
            let link = letter.link.as_deref().filter(|_| self.logs_links);
            tracing::info!(
                to = letter.to,
                file = %path.display(),
                link,
                "no mail server is configured: wrote a mail to a file"
            );
            Ok(())
        })
    }

    fn domain(&self) -> String {
        self.from.email.domain().to_owned()
    }
}

/// Deletes the mails that were written before that time, and what interrupted writes have left. Returns
/// how many files it deleted.
pub fn delete_older(directory: &Path, before: Timestamp) -> io::Result<usize> {
    let before = u64::try_from(before.0).unwrap_or_default();
    let before: SystemTime = UNIX_EPOCH + Duration::from_millis(before);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut deleted = 0;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let is_own = path
            .extension()
            .is_some_and(|it| it == "eml" || it == "draft");
        if is_own && entry.metadata()?.modified()? < before {
            fs::remove_file(path)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// Writes the whole file or none of it, for its owner only: it may hold a token.
async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
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
