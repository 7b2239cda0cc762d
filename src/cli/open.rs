//! Opens the shop for a command, whether or not a server is running.

use std::{sync::Arc, time::Duration};

use super::{migrate::check_schema, shop_not_found::existing_version};
use crate::{
    app::App,
    core::{clock::Clock, error::Result, rng::Rng},
    infra::{config::Config, db, ports::NoImages},
    server::{self, DataDir, Parts},
};

/// How long a write waits for the database lock: longer than for a request, since the user can interrupt a command.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a read of a command may take.
const LONG_READ_TIMEOUT: Duration = Duration::from_hours(24);

/// Page cache in KiB. An import or a seed consists of a few commits with many rows.
const CACHE_KIB: i64 = 65_536;

/// Whether a command reads or writes image files. Only such a command needs the settings of the image store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageAccess {
    NotNeeded,
    Needed,
}

/// Opens an existing shop and its data directory.
///
/// Errors: `CommandFailed` if the shop does not exist, which creates nothing, or migrations are pending.
pub(super) async fn open(config: Config, images: ImageAccess) -> Result<(DataDir, Arc<App>)> {
    check_schema(existing_version(&config).await?)?;
    let data_dir = match images {
        ImageAccess::NotNeeded => DataDir::existing(&config.data_dir)?,
        ImageAccess::Needed => DataDir::open(&config.data_dir)?,
    };
    let app = open_in(&data_dir, config, Clock::system(), Rng::system(), images).await?;
    Ok((data_dir, app))
}

/// Opens the shop in `data_dir`, and creates it if it does not exist. Links begin with the public URL of the
/// server that is running there, or else with the configured one.
pub(super) async fn open_in(
    data_dir: &DataDir,
    config: Config,
    clock: Clock,
    rng: Rng,
    images: ImageAccess,
) -> Result<Arc<App>> {
    let public_url = match data_dir.running_server()? {
        Some(server) => server.public_url.unwrap_or(server.url),
        None => config.public_url(config.listen),
    };
    let parts = Parts {
        clock,
        rng,
        images: match images {
            ImageAccess::NotNeeded => Some(Arc::new(NoImages)),
            ImageAccess::Needed => None,
        },
        storage: db::Options {
            lock_timeout: WRITE_TIMEOUT,
            long_read_timeout: LONG_READ_TIMEOUT,
            writer_cache_kib: CACHE_KIB,
            ..db::Options::default()
        },
        ..Parts::new(config, public_url)
    };
    server::open(data_dir, parts).await
}

/// Stops the background tasks and closes the database.
pub(super) async fn close(app: &App) {
    app.stopping.cancel();
    app.db.close().await;
}
