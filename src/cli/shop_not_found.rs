//! The error for a shop that does not exist. It states where the command looked, and where a shop exists.

use std::{
    env, fs,
    path::{Path, PathBuf, absolute},
};

use secrecy::ExposeSecret;

use crate::{
    core::error::{Error, Result},
    infra::{
        config::{Config, DATA_DIR},
        db::Location,
    },
    server::{DataDir, preflight},
};

/// The data directories of our packages.
const PACKAGED_DATA_DIRS: [&str; 2] = ["/var/lib/shop", "/data"];

/// Returns the schema version of the configured shop.
///
/// Errors: `CommandFailed` if it does not exist; nothing is created.
pub(super) async fn existing_version(config: &Config) -> Result<u32> {
    let version = preflight(config).await?;
    version.ok_or_else(|| shop_not_found(config))
}

/// Returns the error for the configured shop.
pub(super) fn shop_not_found(config: &Config) -> Error {
    let data_dir = DataDir::at(&config.data_dir);
    let detail = match &config.database_url {
        Some(url) => database_detail(url.expose_secret(), &data_dir),
        None => data_dir_detail(&data_dir),
    };
    Error::command_failed(format!("shop not found: {detail}"))
}

/// Returns the error for the source of a transfer.
pub(super) fn source_not_found(from: &Location) -> Error {
    let place = match from {
        Location::Sqlite(path) => format!("`{}`", display_absolute(path)),
        Location::Postgres(target) => format!("database {}", target.name()),
    };
    Error::command_failed(format!(
        "shop not found: looked in {place}; set the source by `--from` or `SHOP_TRANSFER_FROM`, or its data \
         directory by `--data-dir`"
    ))
}

fn database_detail(url: &str, data_dir: &DataDir) -> String {
    let name = Location::parse(url).map_or_else(|_| String::new(), |location| location.name());
    let hint = if data_dir.database().exists() {
        let path = display_absolute(data_dir.root());
        format!("; there is a SQLite shop in `{path}`: unset `SHOP_DATABASE_URL` to use it")
    } else {
        String::new()
    };
    format!(
        "database {name} has no tables of a shop; check `SHOP_DATABASE_URL`, or run `shop serve` to create \
         the shop{hint}"
    )
}

fn data_dir_detail(data_dir: &DataDir) -> String {
    let path = display_absolute(data_dir.root());
    let place = if data_dir.root().is_file() {
        format!("`{path}` is a file, not a data directory")
    } else {
        format!("looked in the data directory `{path}`")
    };
    let hint = data_dir_hint(data_dir);
    format!(
        "{place}; set `--data-dir` or `SHOP_DATA_DIR`, or run `shop serve` to create the shop{hint}"
    )
}

/// Suggests what the user may have meant.
fn data_dir_hint(data_dir: &DataDir) -> String {
    if let Ok(Some(server)) = data_dir.running_server() {
        return format!(
            "; the server on this directory ({}) keeps its data in Postgres: set the same \
             `SHOP_DATABASE_URL`",
            server.url
        );
    }
    let nearby = nearby_shop(data_dir.root())
        .map(|root| format!("; there is a shop in `{}`", root.display()));
    let running =
        running_shop().map(|root| format!("; a server is running on `{}`", root.display()));
    nearby.into_iter().chain(running).collect()
}

/// Returns the data directory of a server that this user runs. Finds it by the lock file that the server keeps
/// open.
fn running_shop() -> Option<PathBuf> {
    let processes = fs::read_dir("/proc").ok()?;
    let open_files = processes
        .flatten()
        .filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    open_files.flatten().flatten().find_map(|file| {
        let lock = fs::read_link(file.path()).ok()?;
        let root = lock.parent().filter(|_| lock.ends_with("lock"))?;
        let data_dir = DataDir::at(root);
        let is_shop =
            data_dir.database().exists() && matches!(data_dir.running_server(), Ok(Some(_)));
        is_shop.then(|| root.to_owned())
    })
}

/// Returns an existing shop in a directory that is easily confused with `root`.
fn nearby_shop(root: &Path) -> Option<PathBuf> {
    let current = env::current_dir().ok()?;
    let parent = root.parent().map(Path::to_owned);
    let ancestors = current.ancestors().map(|ancestor| ancestor.join(DATA_DIR));
    let mut candidates = [root.join(DATA_DIR), current.clone()]
        .into_iter()
        .chain(parent)
        .chain(ancestors)
        .chain(PACKAGED_DATA_DIRS.map(PathBuf::from));
    let is_other = |candidate: &PathBuf| absolute(candidate).ok() != absolute(root).ok();
    let found = candidates
        .find(|candidate| DataDir::at(candidate).database().exists() && is_other(candidate))?;
    absolute(found).ok()
}

fn display_absolute(path: &Path) -> String {
    absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
