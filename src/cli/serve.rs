//! `shop serve`: runs the server until a signal stops it.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{
    config_sources::ConfigSources,
    logging,
    output::{Output, print_message},
    seed, startup_warnings,
};
use crate::{
    app::App,
    core::error::{Error, Result},
    domain::accounts,
    infra::{
        config::Config,
        db::{self, Location, Tx, WalArchiving, migrate, snapshot},
    },
    server::{self, DataDir, Listeners, Parts, Tls, backup::Backup, demo},
    worker,
};

/// The setting of a database that says whether it is a demo's.
const DEMO: &str = "demo";

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// Run a demo shop with sample data and a console at `/`, in a data directory of its own
    #[arg(long)]
    demo: bool,
    /// Allow `--demo` to listen on an address that other machines can reach
    #[arg(long, requires = "demo")]
    yes_public: bool,
    /// Do not make a backup before a new version migrates the schema
    #[arg(long)]
    no_backup: bool,
}

impl Serve {
    pub(super) async fn run(
        self,
        config: Config,
        sources: &ConfigSources,
        output: Output,
    ) -> Result<()> {
        // Check everything that can be checked before anything is created.
        self.reject_public_demo(&config)?;
        let file_limit = server::file_limit::raise_file_limit();
        let version = server::preflight(&config).await?;
        let data_dir = DataDir::at(&config.data_dir);
        data_dir.reject_second_server()?;
        if self.demo && config.database_url.is_none() {
            data_dir.reject_demo_on_foreign_files()?;
        }
        let listener = bind(config.listen, "`--listen`").await?;
        let metrics_listener = bind_metrics(&config).await?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let redirect = match config.redirect_listen {
            Some(address) => Some(bind(address, "`SHOP_REDIRECT_LISTEN`").await?),
            None => None,
        };

        let (data_dir, mut lock) = DataDir::claim(&config.data_dir)?;
        let app = match self.open(&data_dir, config, address, version).await {
            Ok(app) => app,
            Err(error) => {
                lock.undo();
                return Err(error);
            }
        };
        log_start(&app.config, address)?;
        file_limit.log(app.max_connections);
        sources.log_file();
        data_dir.warn_if_open();
        if !self.demo && data_dir.is_demo() {
            let root = data_dir.root().display();
            tracing::warn!(
                "`{root}` holds a demo, whose sample accounts can sign in; choose another `--data-dir` for a shop of \
                 your own"
            );
        }
        let public_url = &app.settings().public_url;
        for warning in startup_warnings::warnings(&app.config, public_url, self.demo) {
            tracing::warn!("{warning}");
        }
        let stop = CancellationToken::new();
        listen_for_signals(stop.clone())?;
        let tls = Tls::open(&app, &data_dir)?;
        listen_for_reload(&app, tls.clone())?;
        let url = app.config.url_of(address);
        lock.announce(&url, &app.settings().public_url)?;
        if self.demo {
            prepare_demo(&app, output).await?;
        }
        if let Some(redirect) = &redirect {
            let address = redirect.local_addr().map_err(Error::internal)?;
            output.text(&format!("redirecting http://{address}"))?;
        }
        output.text(&format!("listening on {url}"))?;
        output.text(&format!("data in {}", data_places(&app.config)?))?;
        print_first_admin_link(&app, output).await?;
        worker::start(&app);
        let archiver = worker::wal_archive::start(&app)?;
        if let Some(listener) = metrics_listener {
            tokio::spawn(server::metrics::serve(listener, Arc::clone(&app)));
        }
        if let Some(tls) = &tls {
            tls.start(&app);
        }
        let fsync_failed = app.db.failed().clone();
        let listeners = Listeners {
            shop: listener,
            tls,
            redirect,
        };
        server::serve(listeners, app, stop).await;
        if let Some(archiver) = archiver {
            worker::wal_archive::finish(archiver).await;
        }
        drop(lock);
        if fsync_failed.is_cancelled() {
            return Err(Error::unavailable(
                "stopped because a sync to disk failed; data acknowledged before that is safe: check the \
                 disk, then start the server again",
            ));
        }
        Ok(())
    }

    /// Migrates the schema if an earlier version made it, after a backup.
    async fn migrate(&self, config: &Config, version: Option<u32>) -> Result<()> {
        if version.is_none_or(|version| migrate::pending(version).is_empty()) {
            return Ok(());
        }
        let report = |made: &Backup| {
            tracing::info!(
                archive = made.archive,
                size = made.size,
                "made a backup before migrating"
            );
        };
        if self.demo && config.database_url.is_some() {
            reject_migrating_a_real_shop(config).await?;
        }
        let applied = server::migrate(config, !self.no_backup, report, |_, _, _| {});
        applied.await.map(drop)
    }

    /// Opens the shop, and creates it if it does not exist. `version` is that of its schema.
    async fn open(
        &self,
        data_dir: &DataDir,
        config: Config,
        address: SocketAddr,
        version: Option<u32>,
    ) -> Result<Arc<App>> {
        let is_postgres = config.database_url.is_some();
        if self.demo && !is_postgres {
            data_dir.claim_for_demo()?;
        }
        self.migrate(&config, version).await?;
        let demo_name = self.demo.then(|| "Demo shop".to_owned());
        let name = config.name.clone().or(demo_name);
        let config = Config { name, ..config };
        let public_url = config.public_url(address);
        let wal_archiving = if config.backup_wal {
            WalArchiving::On
        } else {
            WalArchiving::Off
        };
        let mut parts = Parts {
            demo: self.demo,
            ..Parts::new(config, public_url)
        };
        parts.storage.wal_archiving = wal_archiving;
        parts.storage.is_server = true;
        let app = server::open(data_dir, parts).await?;
        if self.demo && is_postgres {
            app.db.write("demo.claim", claim_database_for_demo).await?;
        }
        Ok(app)
    }

    fn reject_public_demo(&self, config: &Config) -> Result<()> {
        if !self.demo || self.yes_public || !startup_warnings::is_public(config) {
            return Ok(());
        }
        let address = config.listen;
        Err(Error::config(format!(
            "`--demo` has no rate limits and logs sign-in links, and other machines can reach {address}; \
             listen on 127.0.0.1, or add `--yes-public`"
        )))
    }
}

/// Binds the listener of metrics, if there is one, and begins to record them.
async fn bind_metrics(config: &Config) -> Result<Option<TcpListener>> {
    let Some(address) = config.metrics_listen else {
        return Ok(None);
    };
    let listener = bind(address, "`SHOP_METRICS_LISTEN`").await?;
    server::metrics::install()?;
    let address = listener.local_addr().map_err(Error::internal)?;
    tracing::info!("metrics are at http://{address}/metrics");
    Ok(Some(listener))
}

/// `setting` is what sets the address.
async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => "another program uses this port; choose another",
            ErrorKind::AddrNotAvailable => "this machine has no such address; choose another",
            ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege that this user lacks; choose another"
            }
            _ => "choose another address",
        };
        Error::unavailable(format!(
            "cannot listen on {address}: {error}; {hint} by {setting}"
        ))
    })
}

/// Logs what is running where.
fn log_start(config: &Config, address: SocketAddr) -> Result<()> {
    let location = server::location(config)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        engine = location.engine(),
        database = %location.name(),
        schema = migrate::latest_version(),
        data_dir = %absolute(&config.data_dir).display(),
        listen = %address,
        "shop started"
    );
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Returns the places that hold the data of the shop.
fn data_places(config: &Config) -> Result<String> {
    let data_dir = absolute(&config.data_dir);
    let data_dir = data_dir.display();
    Ok(match server::location(config)? {
        Location::Sqlite(_) => format!("`{data_dir}`"),
        postgres @ Location::Postgres(_) => format!("{} and `{data_dir}`", postgres.name()),
    })
}

/// Prints how to create the first admin, if there is none. The link is a secret, so it is not logged.
async fn print_first_admin_link(app: &Arc<App>, output: Output) -> Result<()> {
    let key = app.first_admin.clone();
    let find = move |tx: &mut Tx<'_>| accounts::first_admin_link(tx, &key);
    if let Some(link) = app.db.write("accounts.first_admin_link", find).await? {
        output.text(&format!(
            "There is no admin yet. Open this link to create one (works once):\n  {link}"
        ))?;
        print_message(&first_admin_hint(&app.config));
    }
    Ok(())
}

/// Returns the command that creates the first admin of this shop.
fn first_admin_hint(config: &Config) -> String {
    let data_dir = absolute(&config.data_dir);
    let data_dir = data_dir.display();
    let database = match &config.database_url {
        None => "",
        Some(_) => " with the same `SHOP_DATABASE_URL`",
    };
    format!(
        "no admin yet; open the link on stdout, or run this{database}: \
         shop admin user add --email you@example.com --name You --role ADMIN --data-dir '{data_dir}'"
    )
}

/// Checks that a database with the schema of an earlier version is a demo's.
///
/// Errors: `CommandFailed` if it belongs to a real shop.
async fn reject_migrating_a_real_shop(config: &Config) -> Result<()> {
    let location = server::location(config)?;
    let read = tokio::task::spawn_blocking(move || snapshot::settings(&location, &[DEMO]));
    let found = read.await.map_err(Error::internal)??;
    if found.iter().any(|(_, value)| value == "yes") {
        return Ok(());
    }
    Err(holds_a_real_shop())
}

fn holds_a_real_shop() -> Error {
    Error::command_failed(
        "the database contains a real shop, and `--demo` opens only an empty database or its own; set \
         another `SHOP_DATABASE_URL`",
    )
}

/// Marks a database as a demo's, permanently.
///
/// Errors: `CommandFailed` if the database belongs to a real shop.
fn claim_database_for_demo(tx: &mut Tx<'_>) -> Result<()> {
    let is_empty = accounts::all(tx)?.is_empty();
    if db::setting(tx, DEMO, if is_empty { "yes" } else { "no" })? == "yes" {
        return Ok(());
    }
    Err(holds_a_real_shop())
}

/// Fills an empty demo shop and prints the accounts to sign in with, and their sign-in links.
async fn prepare_demo(app: &Arc<App>, output: Output) -> Result<()> {
    let passwords = seed::fill_demo(app).await?;
    output.text("demo shop; sign in with")?;
    for (user, password) in demo::USERS.iter().zip(passwords) {
        let password = password.as_deref().unwrap_or("(the password was changed)");
        output.text(&format!("  {}  {password}", user.email))?;
    }
    output.text("or open")?;
    for user in &demo::USERS {
        let link = demo::sign_in_link(app, user);
        output.text(&format!("{}  {link}", user.label))?;
    }
    Ok(())
}

/// Reads the certificate again on each SIGHUP, which would otherwise end the process.
fn listen_for_reload(app: &Arc<App>, tls: Option<Arc<Tls>>) -> Result<()> {
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::internal)?;
    let app = Arc::clone(app);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if let Some(tls) = &tls {
                tls.reload(&app);
            } else {
                tracing::info!("nothing to reload: no certificate is configured");
            }
        }
    });
    Ok(())
}

/// Shuts down gracefully on the first SIGTERM or SIGINT, and exits at once on the second.
fn listen_for_signals(stop: CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                logging::flush();
                std::process::exit(1);
            }
            stop.cancel();
            tracing::info!("stopping; send the signal again to exit immediately");
        }
    });
    Ok(())
}
