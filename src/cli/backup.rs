//! `shop backup`: makes backups, lists and verifies them, and exports the keys, which no backup contains.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use tokio::runtime::Handle;

use super::{
    open::{self, ImageAccess},
    output::{Output, count, print_message},
    progress,
    shop_not_found::existing_version,
    verify,
};
use crate::{
    core::{
        clock::{Clock, Timestamp},
        error::{Error, Result},
    },
    infra::{
        backup::{Place, Stored, StoredIn, archive},
        config::Config,
        db::snapshot,
        ports::{ImageStore, Objects},
    },
    server::{
        self, DataDir, Parts, SECRETS,
        backup::{self, Target},
        restore::Source,
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    action: Option<Action>,
    /// File to create, with the database and the images [default: a new one in `SHOP_BACKUP_URL`, or else in `backups/`
    /// of the data directory, where all backups share their images]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Check a backup: its checksums, and the shop's data in it as `shop verify` does
    Verify {
        /// A file, or a backup place, of which the newest is checked
        source: String,
    },
    /// List the backups at the backup place, newest first
    List,
    /// Export the keys that no backup contains: keep the file as safe as a password
    Keys {
        /// File to create
        file: PathBuf,
    },
}

impl Backup {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        if let (Some(_), Some(file)) = (&self.action, &self.file) {
            let file = file.display();
            return Err(Error::config(format!(
                "unexpected argument `{file}`; see `shop backup --help`"
            )));
        }
        match self.action {
            None => back_up(&config, self.file, output).await,
            Some(Action::Verify { source }) => verify_backup(config, &source, output).await,
            Some(Action::List) => list(&config, output).await,
            Some(Action::Keys { file }) => export_keys(config, &file, output).await,
        }
    }
}

async fn back_up(config: &Config, file: Option<PathBuf>, output: Output) -> Result<()> {
    existing_version(config).await?;
    let target = match file {
        None => Target::Place(backup::place(config)?),
        Some(path) => file_target(&path)?,
    };
    let now = Clock::system().now();
    let made = backup::back_up(config, target, now, progress::steps()).await?;
    for name in made.missing_images.iter().take(10) {
        print_message(&format!(
            "image `{name}` is missing in `images/`: it was deleted meanwhile, or `shop verify` lists its product"
        ));
    }
    let listed = match made.listed_images {
        0 => String::new(),
        listed => format!(
            "; not copied, since the image host has them: {}",
            count(listed, "image")
        ),
    };
    let summary = format!(
        "{}: {}, {}, {}, {} bytes{listed}",
        made.archive,
        count(made.products, "product"),
        count(made.orders, "order"),
        count(made.images as u64, "image"),
        made.size
    );
    output.value(&made, &summary)
}

/// Returns the target for a file that does not exist yet.
///
/// Errors: `Config` if it is a directory, or a plain word, which may be a mistyped command.
fn file_target(path: &Path) -> Result<Target> {
    let is_word = |name: &str| path.as_os_str() == name && !name.contains('.');
    let name = path.file_name().filter(|_| !path.is_dir());
    let name = name
        .and_then(|name| name.to_str())
        .filter(|name| !is_word(name));
    let name = name.ok_or_else(|| {
        let path = path.display();
        Error::config(format!(
            "`{path}` is neither a file name, e.g. `shop.tar.gz`, nor a command of `shop backup --help`"
        ))
    })?;
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if !parent.is_dir() {
        let parent = parent.display();
        return Err(Error::command_failed(format!(
            "the directory `{parent}` does not exist"
        )));
    }
    let place = Place::directory(parent)?;
    Ok(Target::File(place, name.to_owned()))
}

async fn list(config: &Config, output: Output) -> Result<()> {
    if config.backup_url.is_none() {
        existing_version(config).await?;
    }
    let place = backup::place(config)?;
    let mut archives = Vec::new();
    for stored in place.archives().await? {
        let restorable_to = restorable_to(&place, &stored).await?;
        archives.push(Listed {
            stored,
            restorable_to,
        });
    }
    let columns = ["backup", "created", "bytes", "restorable to"];
    output.table(&columns, &archives, |archive| {
        let Stored {
            name,
            created_at,
            size,
        } = &archive.stored;
        let to = archive.restorable_to.unwrap_or(*created_at);
        vec![
            name.clone(),
            created_at.to_string(),
            size.to_string(),
            to.to_string(),
        ]
    })
}

/// A backup, as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(flatten)]
    stored: Stored,
    /// The time of the last commit that the archived WAL leads to.
    restorable_to: Option<Timestamp>,
}

/// Returns the time of the last commit to which an archive can be continued.
async fn restorable_to(place: &Place, archive: &Stored) -> Result<Option<Timestamp>> {
    match place.manifest(&archive.name).await?.base {
        Some(base) => place.last_commit(&base).await,
        None => Ok(None),
    }
}

/// Unpacks a backup into a temporary directory, opens it as a shop and checks its data.
async fn verify_backup(config: Config, source: &str, output: Output) -> Result<()> {
    let source = Source::find(source, None).await?;
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(".backup-");
    let directory = if config.data_dir.is_dir() {
        temporary.tempdir_in(&config.data_dir)
    } else {
        temporary.tempdir()
    };
    let directory = directory.map_err(|error| {
        Error::command_failed(format!("cannot create a temporary directory: {error}"))
    })?;
    let (root, runtime) = (directory.path().to_owned(), Handle::current());
    let unpacked =
        tokio::task::spawn_blocking(move || source.unpack(&root, &runtime, &mut progress::steps()));
    let unpacked = unpacked.await.map_err(Error::internal)??;
    for damage in &unpacked.damaged_images {
        print_message(damage);
    }
    let manifest = unpacked.manifest;
    let is_elsewhere = manifest.images.stored_in == StoredIn::ImageStore;
    let root = directory.path();
    let config = Config {
        data_dir: root.to_owned(),
        database_url: None,
        smtp_url: None,
        images_url: config.images_url.clone().filter(|_| is_elsewhere),
        cloudinary_url: config.cloudinary_url.clone().filter(|_| is_elsewhere),
        ..config
    };
    let images: Option<Arc<dyn ImageStore>> = if is_elsewhere {
        None
    } else {
        Some(Arc::new(Objects::local(&root.join(archive::IMAGES))?))
    };
    let public_url = config.public_url(config.listen);
    let parts = Parts {
        images,
        ..Parts::new(config, public_url)
    };
    let app = server::open(&DataDir::at(root), parts).await?;
    let result = verify::check_and_report(&app, false, output).await;
    open::close(&app).await;
    result
}

/// Writes the keys to a new file, as TOML.
async fn export_keys(config: Config, file: &Path, output: Output) -> Result<()> {
    let (data_dir, app) = open::open(config, ImageAccess::NotNeeded).await?;
    open::close(&app).await;
    let location = server::location(&app.config)?;
    let names: &'static [&'static str] = &SECRETS;
    let read = tokio::task::spawn_blocking(move || snapshot::replaced(&location, names));
    let in_database = read.await.map_err(Error::internal)??.settings;
    let mut keys = Vec::new();
    for name in SECRETS {
        let stored = in_database.iter().find(|(key, _)| key == name);
        let value = match stored {
            Some((_, value)) => Some(value.clone()),
            None => data_dir.existing_secret(name)?,
        };
        keys.extend(value.map(|value| (name, value)));
    }
    let mut text = String::from(
        "# The keys of a shop. `shop restore --keys FILE` restores them; keep them as safe as a password.\n",
    );
    for (name, value) in &keys {
        text.extend([*name, " = ", &toml_string(value), "\n"]);
    }
    write_new(file, &text)?;
    let names: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
    let summary = format!("{}: {}", file.display(), names.join(", "));
    output.value(&names, &summary)
}

/// Returns a basic string of TOML (<https://toml.io/en/v1.0.0#string>).
fn toml_string(text: &str) -> String {
    // A JSON string is a TOML string.
    serde_json::Value::from(text).to_string()
}

/// Creates a file that only its owner can read.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        let detail = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "it exists already; choose another name".to_owned()
            }
            _ => error.to_string(),
        };
        Error::command_failed(format!("cannot write `{}`: {detail}", path.display()))
    };
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    server::write_private_file(directory, path, text).map_err(failed)
}
