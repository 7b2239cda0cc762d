//! `shop transfer`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tokio::runtime::Handle;

use super::output::{Output, note, progress};
use crate::{
    config::Config,
    db::{
        Location,
        transfer::{Beside, Moved, transfer},
    },
    error::{Error, Kind, Result},
    ports::{ImageStore, Objects, images::whole},
    server::{self, Home},
};

#[derive(Debug, clap::Args)]
pub(super) struct Transfer {
    /// Where to, an empty database: `postgres://…` or `sqlite:PATH`
    #[arg(long, value_name = "URL")]
    to: String,
    /// Where from, if not the configured shop: `postgres://…` or `sqlite:PATH`
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

impl Transfer {
    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        // A transfer waits for disks and networks, and has the program to itself.
        let moved = tokio::task::spawn_blocking(move || self.go(&config));
        let moved = moved.await.map_err(Error::internal)??;
        output.table(&["table", "rows", "sha256"], &moved, |table| {
            vec![
                table.table.clone(),
                table.rows.to_string(),
                table.sha256.clone(),
            ]
        })
    }

    fn go(self, config: &Config) -> Result<Vec<Moved>> {
        let configured = Home::at(&config.data_dir);
        let from = match (&self.from, &config.database_url) {
            (Some(url), _) => Location::parse(url)?,
            (None, Some(url)) => Location::parse(&url.0)?,
            (None, None) => Location::Sqlite(configured.database()),
        };
        let to = Location::parse(&self.to)?;
        let (source, target) = (home_of(&from, &configured)?, home_of(&to, &configured)?);
        if let Location::Sqlite(path) = &from
            && !path.exists()
        {
            let path = path.display();
            return Err(Error::unavailable(format!("there is no shop at `{path}`")));
        }
        // Held to the end: no server may begin to write meanwhile.
        let mut locks = Vec::new();
        let mut locked = BTreeSet::new();
        for (location, home) in [(&from, &source), (&to, &target)] {
            Home::open(home.root())?;
            if matches!(location, Location::Sqlite(_)) && locked.insert(home.root().to_owned()) {
                locks.push(home.lock()?);
            }
        }
        let mut in_files = Vec::new();
        if matches!(from, Location::Sqlite(_)) {
            for name in server::SECRETS {
                in_files.extend(source.kept_secret(name)?.map(|value| (name, value)));
            }
        }
        let (add, carry, take): (_, _, &[_]) = match &to {
            Location::Postgres(_) => (in_files, Vec::new(), &[]),
            Location::Sqlite(_) => (Vec::new(), in_files, &server::SECRETS),
        };
        let (runtime, pictures) = (Handle::current(), Pictures::of(config, &source, &target)?);
        let mut missing = Vec::new();
        let bar = progress(0, "rows");
        let moved = transfer(
            &from,
            &to,
            Beside {
                add,
                carry,
                take,
                keep: &mut |name, value| target.keep_secret(name, value),
                files: ("product_images", "image_key"),
                file: &mut |key| {
                    if let Some(pictures) = &pictures
                        && !runtime.block_on(pictures.bring(key))?
                    {
                        missing.push(key.to_owned());
                    }
                    Ok(())
                },
            },
            &mut |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            },
        );
        bar.finish_and_clear();
        let moved = moved?;
        if let Some(first) = missing.first() {
            note(&format!(
                "{} pictures were missing before already, `{first}` the first of them",
                missing.len()
            ));
        }
        drop(locks);
        Ok(moved)
    }
}

/// Where pictures come from and where the moved shop looks for them.
struct Pictures {
    source: Objects,
    target: Objects,
    are_one: bool,
}

impl Pictures {
    /// None where they are not in a folder: a host of pictures or a bucket serves the moved shop as
    /// well.
    fn of(config: &Config, source: &Home, target: &Home) -> Result<Option<Pictures>> {
        if config.cloudinary_url.is_some() || config.images_url.is_some() {
            return Ok(None);
        }
        Ok(Some(Pictures {
            source: Objects::local(&source.images())?,
            target: Objects::local(&target.images())?,
            are_one: source.root() == target.root(),
        }))
    }

    /// Brings a picture along; tells whether it is there.
    async fn bring(&self, key: &str) -> Result<bool> {
        match self.source.get(key).await {
            Ok(_) if self.are_one => Ok(true),
            Ok(picture) => {
                let picture = whole(picture).await?;
                self.target.put(key, picture).await.map(|_| true)
            }
            // An earlier move may have brought it.
            Err(error) if error.kind() == Kind::NotFound => Ok(self.target.get(key).await.is_ok()),
            Err(error) => Err(error),
        }
    }
}

/// The data directory that belongs to a database: a file's own, else the configured one.
fn home_of(location: &Location, configured: &Home) -> Result<Home> {
    match location {
        Location::Postgres(_) => Ok(configured.clone()),
        Location::Sqlite(path) => {
            let name = path.file_name();
            if name.is_none_or(|name| name != "shop.db") {
                return Err(Error::config(format!(
                    "a shop's file is called `shop.db`; write `sqlite:{}`",
                    path.join("shop.db").display()
                )));
            }
            let parent = path.parent().filter(|parent| *parent != Path::new(""));
            let root = parent.map_or_else(|| PathBuf::from("."), Path::to_owned);
            Ok(Home::at(&root))
        }
    }
}
