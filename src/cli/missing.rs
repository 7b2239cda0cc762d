//! What a command says where there is no shop: where it looked, and where there is one.

use std::{
    env, fs,
    path::{Path, PathBuf, absolute},
};

use crate::{
    core::error::{Error, Result},
    infra::{
        config::{Config, DATA_DIR},
        db::Location,
    },
    server::{Home, look},
};

/// Where packages keep a shop.
const USUAL: [&str; 2] = ["/var/lib/shop", "/data"];

/// Errors: `Unavailable` where there is no shop; nothing is created.
pub(super) async fn refuse_missing(config: &Config) -> Result<()> {
    if look(config).await? {
        return Ok(());
    }
    Err(no_shop(config))
}

/// That the configured shop does not exist, and what to do.
fn no_shop(config: &Config) -> Error {
    let home = Home::at(&config.data_dir);
    let data_dir = shown(home.root());
    let remedy = if let Some(url) = &config.database_url {
        let name = Location::parse(&url.0).map_or_else(|_| String::new(), |it| it.name());
        let elsewhere = if home.database().exists() {
            format!("; a shop on SQLite is in `{data_dir}`: unset `SHOP_DATABASE_URL` for it")
        } else {
            String::new()
        };
        format!(
            "the database {name} has none of its tables; check `SHOP_DATABASE_URL`, or create the shop by \
             `shop serve`{elsewhere}"
        )
    } else {
        let what = if home.root().is_file() {
            format!("`{data_dir}` is a file and no data directory")
        } else {
            format!("looked in the data directory `{data_dir}`")
        };
        format!(
            "{what}; name another by `--data-dir` or `SHOP_DATA_DIR`, or create the shop by `shop \
             serve`{}",
            hint(&home)
        )
    };
    Error::unavailable(format!("no shop here: {remedy}"))
}

/// As [`no_shop`], for the source of a transfer.
pub(super) fn no_source(from: &Location) -> Error {
    let place = match from {
        Location::Sqlite(path) => format!("`{}`", shown(path)),
        Location::Postgres(target) => format!("the database {}", target.name()),
    };
    Error::unavailable(format!(
        "no shop here: looked in {place}; name the source by `--from` or `SHOP_TRANSFER_FROM`, or its data \
         directory by `--data-dir`"
    ))
}

/// Where the shop that was meant may be.
fn hint(home: &Home) -> String {
    if let Ok(Some(server)) = home.running() {
        return format!(
            "; the server on this directory ({}) keeps its data in Postgres: set the same \
             `SHOP_DATABASE_URL`",
            server.url
        );
    }
    let lies = lying_elsewhere(home.root());
    let lies = lies.map(|root| format!("; there is a shop in `{}`", root.display()));
    let runs = served_elsewhere();
    let runs = runs.map(|root| format!("; a server is running on `{}`", root.display()));
    lies.into_iter().chain(runs).collect()
}

/// The data directory of a server of this user, found by the lock file that it holds open.
fn served_elsewhere() -> Option<PathBuf> {
    let processes = fs::read_dir("/proc").ok()?;
    let open_files = processes
        .flatten()
        .filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    open_files.flatten().flatten().find_map(|file| {
        let lock = fs::read_link(file.path()).ok()?;
        let root = lock.parent().filter(|_| lock.ends_with("lock"))?;
        let home = Home::at(root);
        let is_shop = home.database().exists() && matches!(home.running(), Ok(Some(_)));
        is_shop.then(|| root.to_owned())
    })
}

/// A shop at a place that is easily mixed up with the one that was named.
fn lying_elsewhere(root: &Path) -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    let beside = [root.join(DATA_DIR), here.clone()];
    let above = here.ancestors().map(|above| above.join(DATA_DIR));
    let inside = root.parent().map(Path::to_owned);
    let mut places = beside
        .into_iter()
        .chain(inside)
        .chain(above)
        .chain(USUAL.map(PathBuf::from));
    let is_other = |place: &PathBuf| absolute(place).ok() != absolute(root).ok();
    let found = places.find(|place| Home::at(place).database().exists() && is_other(place))?;
    absolute(found).ok()
}

fn shown(path: &Path) -> String {
    absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}
