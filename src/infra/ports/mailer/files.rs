//! Writes emails to `.eml` files, for a shop without a mail server, and logs each of them. Only a demo logs the
//! links, which give access to an account.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use mail_parser::MessageParser;
use tokio::io::AsyncWriteExt;

use super::{MailMessage, Mailer, SentCopy, message};
use crate::{
    core::{clock::Timestamp, id::MailId},
    infra::{file_modes, ports::Refusal},
};

/// The name of the directory in the data directory.
pub const DIRECTORY: &str = "mail";

pub struct FileMailer {
    directory: PathBuf,
    from: Mailbox,
    logs_links: bool,
}

impl FileMailer {
    /// The directory is created with the first email. `logs_links` includes each email's link in the log.
    pub fn new(directory: PathBuf, from: Mailbox, logs_links: bool) -> FileMailer {
        FileMailer {
            directory,
            from,
            logs_links,
        }
    }

    /// Returns the file of an email. Another attempt overwrites the same file.
    fn path(&self, mail: &MailMessage) -> PathBuf {
        self.file(mail.message_id.split('@').next().unwrap_or_default())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.eml"))
    }
}

impl Mailer for FileMailer {
    fn send<'a>(&'a self, mail: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let path = self.path(mail);
            let message = message(mail, &self.from)?.formatted();
            write(&path, &message)
                .await
                .map_err(|error| cannot_write(&path, &error))?;
            let link = mail.link.as_deref().filter(|_| self.logs_links);
            tracing::info!(
                to = mail.to,
                file = %path.display(),
                link,
                "no mail server is configured; wrote an email to a file"
            );
            Ok(())
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let directory = &self.directory;
            let written = file_modes::create_directory(directory)
                .and_then(|()| tempfile::tempfile_in(directory));
            written
                .map(drop)
                .map_err(|error| cannot_write(directory, &error))
        })
    }

    fn sent_copy(&self, id: MailId) -> BoxFuture<'_, io::Result<Option<SentCopy>>> {
        Box::pin(async move {
            match tokio::fs::read(self.file(&id.to_string())).await {
                Ok(message) => Ok(parse(&message)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn domain(&self) -> String {
        self.from.email.domain().to_owned()
    }
}

/// Returns the content of a message that [`FileMailer`] wrote.
fn parse(message: &[u8]) -> Option<SentCopy> {
    let message = MessageParser::default().parse(message)?;
    Some(SentCopy {
        text: message.body_text(0)?.into_owned(),
        html: message.body_html(0)?.into_owned(),
    })
}

/// Deletes the files of emails that were written before this time, also those of interrupted writes. Returns how
/// many.
pub fn delete_older(directory: &Path, before: Timestamp) -> io::Result<usize> {
    let before = SystemTime::from(before);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut deleted = 0;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let is_mail = path
            .extension()
            .is_some_and(|it| it == "eml" || it == "draft");
        if is_mail && entry.metadata()?.modified()? < before {
            fs::remove_file(path)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

fn cannot_write(path: &Path, error: &io::Error) -> Refusal {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make space on its disk",
        _ => "",
    };
    let path = path.display();
    Refusal::transient(format!("cannot write `{path}`: {error}{remedy}"))
}

/// Writes a file atomically. Only its owner can read it, since it may contain a token.
async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        file_modes::create_directory(directory)?;
    }
    let draft = path.with_extension("draft");
    let mut options = file_modes::open_options();
    options.write(true).create(true).truncate(true);
    let mut file = tokio::fs::OpenOptions::from(options).open(&draft).await?;
    let written = async {
        file.write_all(bytes).await?;
        // A file of tokio reports the error of a write at the next flush, and not when it is synced.
        file.flush().await?;
        file.sync_all().await?;
        tokio::fs::rename(&draft, path).await
    }
    .await;
    if written.is_err() {
        // Also frees the space that a part of it takes. The cause is the first error.
        drop(tokio::fs::remove_file(&draft).await);
    }
    written
}
