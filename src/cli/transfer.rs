//! `shop transfer`.

use std::path::{Path, PathBuf};

use tokio::runtime::Handle;

use super::{
    layers::Layers,
    missing::no_source,
    output::{Output, progress},
};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{
        config::{Config, Layer},
        db::{
            Location,
            transfer::{Beside, Files, Moved, each_file, transfer},
        },
        ports::{ImageStore, Objects, images::whole},
    },
    server::{self, Home},
};

#[derive(Debug, clap::Args)]
pub(super) struct Transfer {
    /// Where to, an empty database: `postgres://user@host/name` or `sqlite:DIR/shop.db`. A URL with a
    /// password goes into the variable or into the file that `SHOP_TRANSFER_TO_FILE` names [env:
    /// `SHOP_TRANSFER_TO`]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Where from, if not the configured shop: `postgres://user@host/name` or `sqlite:DIR/shop.db`. A URL
    /// with a password goes into the variable or into the file that `SHOP_TRANSFER_FROM_FILE` names [env:
    /// `SHOP_TRANSFER_FROM`]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
}

impl Transfer {
    /// The arguments, by key.
    pub(super) fn layer(&self) -> Layer {
        let arguments = [("transfer_from", &self.from), ("transfer_to", &self.to)];
        let given = arguments.into_iter();
        given
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
            .collect()
    }
}

pub(super) async fn run(config: Config, layers: &Layers, output: Output) -> Result<()> {
    let to = layers.outside_file("transfer_to").ok_or_else(|| {
        Error::config(
            "no target: set `--to`, or `SHOP_TRANSFER_TO` where the URL holds a password, to \
             `postgres://user@host/name` or `sqlite:DIR/shop.db`",
        )
    })?;
    let to = Location::parse(to)?;
    let configured = Home::at(&config.data_dir);
    let from = match (layers.outside_file("transfer_from"), &config.database_url) {
        (Some(url), _) => Location::parse(url)?,
        (None, Some(url)) => Location::parse(&url.0)?,
        (None, None) => Location::Sqlite(configured.database()),
    };
    let ends = Ends {
        source: home_of(&from, &configured)?,
        target: home_of(&to, &configured)?,
        from,
        to,
    };
    server::check_owner(ends.source.root())?;
    server::check_owner(ends.target.root())?;
    if !ends.from.look().await? {
        return Err(no_source(&ends.from));
    }
    ends.to.look().await?;
    // A transfer waits for disks and networks, and has the program to itself.
    let moved = tokio::task::spawn_blocking(move || ends.go(&config));
    let moved = moved.await.map_err(Error::internal)??;
    output.table(&["table", "rows", "sha256"], &moved, |table| {
        vec![
            table.table.clone(),
            table.rows.to_string(),
            table.sha256.clone(),
        ]
    })
}

/// What names the pictures that are kept beside a database: those of a host have a URL.
const PICTURES: Files<'_> = Files {
    table: "product_images",
    column: "image_key",
    elsewhere: "url",
};

/// The databases, and the data directories that belong to them.
struct Ends {
    from: Location,
    to: Location,
    source: Home,
    target: Home,
}

impl Ends {
    fn go(&self, config: &Config) -> Result<Vec<Moved>> {
        // Held to the end: no server may begin to write meanwhile.
        let source = match &self.from {
            Location::Sqlite(_) => Some(Home::existing(self.source.root())?.lock()?),
            Location::Postgres(_) => None,
        };
        let has_pictures = config.cloudinary_url.is_none() && config.images_url.is_none();
        if has_pictures {
            self.refuse_missing_pictures()?;
        }
        let target = if source.is_some() && self.source.root() == self.target.root() {
            None
        } else {
            Some(Home::claim(self.target.root())?.1)
        };
        let moved = self.copy(has_pictures);
        if let Some(target) = target.filter(|_| moved.is_err()) {
            target.undo();
        }
        moved
    }

    /// Errors: `Unavailable` where a picture is in neither data directory.
    fn refuse_missing_pictures(&self) -> Result<()> {
        let places = [self.source.images(), self.target.images()];
        let (mut all, mut missing) = (0_u64, Vec::new());
        each_file(&self.from, PICTURES, &mut |key| {
            all += 1;
            if !places.iter().any(|place| place.join(key).is_file()) {
                missing.push(key.to_owned());
            }
            Ok(())
        })?;
        let Some(first) = missing.first() else {
            return Ok(());
        };
        let [place, _] = places;
        let place = std::path::absolute(&place).unwrap_or(place);
        Err(Error::unavailable(format!(
            "{} of {all} images are not in `{}`, `{first}` the first of them; name the data directory that \
             holds them by `--data-dir`, or the bucket or host by `SHOP_IMAGES_URL` or `CLOUDINARY_URL` as the \
             server had it; if they are lost, `shop verify` names their products; nothing was moved",
            missing.len(),
            place.display(),
        )))
    }

    fn copy(&self, has_pictures: bool) -> Result<Vec<Moved>> {
        let (source, target) = (&self.source, &self.target);
        let mut in_files = Vec::new();
        if matches!(self.from, Location::Sqlite(_)) {
            for name in server::SECRETS {
                in_files.extend(source.kept_secret(name)?.map(|value| (name, value)));
            }
        }
        let (add, carry, take): (_, _, &[_]) = match &self.to {
            Location::Postgres(_) => (in_files, Vec::new(), &[]),
            Location::Sqlite(_) => (Vec::new(), in_files, &server::SECRETS),
        };
        let runtime = Handle::current();
        let pictures = has_pictures.then(|| Pictures::of(source, target));
        let pictures = pictures.transpose()?;
        let bar = progress(0, "rows");
        let moved = transfer(
            &self.from,
            &self.to,
            Beside {
                add,
                carry,
                take,
                keep: &mut |name, value| target.keep_secret(name, value),
                files: PICTURES,
                file: &mut |key| match &pictures {
                    Some(pictures) => runtime.block_on(pictures.bring(key)),
                    None => Ok(()),
                },
            },
            &mut |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            },
        );
        bar.finish_and_clear();
        moved
    }
}

/// Where pictures come from and where the moved shop looks for them. A host of pictures or a bucket needs
/// none of it: it serves the moved shop as well.
struct Pictures {
    /// `None`: they are in the target's directory already.
    source: Option<Objects>,
    target: Objects,
}

impl Pictures {
    fn of(source: &Home, target: &Home) -> Result<Pictures> {
        let is_apart = source.root() != target.root() && source.images().exists();
        Ok(Pictures {
            source: is_apart
                .then(|| Objects::local(&source.images()))
                .transpose()?,
            target: Objects::local(&target.images())?,
        })
    }

    /// Brings a picture along, unless an earlier move has.
    async fn bring(&self, key: &str) -> Result<()> {
        let Some(source) = &self.source else {
            return Ok(());
        };
        match source.get(key).await {
            Ok(picture) => {
                let picture = whole(picture).await?;
                self.target.put(key, picture).await.map(drop)
            }
            Err(error) if error.kind() == Kind::NotFound => self.target.get(key).await.map(drop),
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
