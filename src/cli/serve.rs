//! `shop serve`.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{
    layers::Layers,
    output::{Output, note},
    seed, warnings,
};
use crate::{
    app::App,
    core::error::{Error, Result},
    domain::accounts,
    infra::{
        config::Config,
        db::{self, Tx},
    },
    server::{self, Home, Parts},
    worker,
};

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// Where to listen; port 0 picks a free one [env: `SHOP_LISTEN`] [default: `127.0.0.1:8080`]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Show a sample shop with a console at `/`, in a data directory of its own
    #[arg(long)]
    demo: bool,
    /// Let `--demo` listen on an address that others can reach
    #[arg(long, requires = "demo")]
    yes_public: bool,
}

impl Serve {
    pub(super) async fn run(self, config: Config, layers: &Layers, output: Output) -> Result<()> {
        self.refuse_public_demo(&config)?;
        let file_limit = server::descriptors::raise_file_limit();
        // What can be found wrong is found before anything is created.
        server::look(&config).await?;
        let home = Home::at(&config.data_dir);
        home.refuse_second_server()?;
        if self.demo && config.database_url.is_none() {
            home.refuse_demo_on_real_shop()?;
        }
        let listener = bind(&config).await?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let (home, mut running) = Home::claim(&config.data_dir)?;
        let app = match self.open(&home, config, address).await {
            Ok(app) => app,
            Err(error) => {
                running.undo();
                return Err(error);
            }
        };
        file_limit.log(app.max_connections);
        layers.log_file();
        home.warn_if_open();
        warnings::warn(&app, self.demo);
        let stop = CancellationToken::new();
        listen_for_signals(stop.clone())?;
        running.announce(&format!("http://{address}"), &app.public_url)?;
        if self.demo {
            greet_demo(&app, output).await?;
        }
        output.text(&format!("listening on http://{address}"))?;
        if !app
            .db
            .read("accounts.has_admin", accounts::has_admin)
            .await?
        {
            note(&how_to_make_an_admin(&app.config));
        }
        worker::start(&app);
        let failed = app.db.failed().clone();
        server::serve(listener, app, stop).await;
        drop(running);
        if failed.is_cancelled() {
            return Err(Error::unavailable(
                "stopped, since a sync to the disk failed; what was acknowledged before is kept: check the \
                 disk, then start again",
            ));
        }
        Ok(())
    }

    /// Opens the shop, and creates it where there is none.
    async fn open(&self, home: &Home, config: Config, address: SocketAddr) -> Result<Arc<App>> {
        let is_shared = config.database_url.is_some();
        if self.demo && !is_shared {
            home.claim_for_demo()?;
        }
        let public_url = config.public_url(address);
        let parts = Parts {
            demo: self.demo,
            ..Parts::new(config, public_url)
        };
        let app = server::open(home, parts).await?;
        if self.demo && is_shared {
            app.db.write("demo.claim", claim_for_demo).await?;
        }
        Ok(app)
    }

    fn refuse_public_demo(&self, config: &Config) -> Result<()> {
        if !self.demo || self.yes_public || !warnings::is_public(config) {
            return Ok(());
        }
        let address = config.listen;
        Err(Error::config(format!(
            "`--demo` has no rate limits and logs links into accounts, and {address} can be reached from \
             other machines; listen on 127.0.0.1, or add `--yes-public`"
        )))
    }
}

async fn bind(config: &Config) -> Result<TcpListener> {
    let address = config.listen;
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "another program listens there; choose another port by `--listen`",
            ErrorKind::AddrNotAvailable => "this machine has no such address; choose another by `--listen`",
            ErrorKind::PermissionDenied => {
                "ports below 1024 need a right that this user does not have; choose another by `--listen`"
            }
            _ => "choose another address by `--listen`",
        };
        Error::unavailable(format!("cannot listen on {address}: {error}; {remedy}"))
    })
}

/// The command that makes the first admin of this very shop.
fn how_to_make_an_admin(config: &Config) -> String {
    let directory = std::path::absolute(&config.data_dir);
    let directory = directory.unwrap_or_else(|_| config.data_dir.clone());
    let directory = directory.display();
    let server = match &config.database_url {
        None => "",
        Some(_) => ", with the same `SHOP_DATABASE_URL`",
    };
    format!(
        "no admin yet; this makes one and prints a link to set the password{server}: \
         shop admin user add --email you@example.com --name You --role ADMIN --data-dir '{directory}'"
    )
}

/// Marks a database as a demo's for ever. One that holds another shop is refused.
fn claim_for_demo(tx: &mut Tx<'_>) -> Result<()> {
    let is_empty = accounts::all(tx)?.is_empty();
    if db::setting(tx, "demo", if is_empty { "yes" } else { "no" })? == "yes" {
        return Ok(());
    }
    Err(Error::unavailable(
        "the database holds a real shop; `--demo` opens only an empty one or its own: name another",
    ))
}

/// Fills an empty demo and prints how to sign in.
async fn greet_demo(app: &Arc<App>, output: Output) -> Result<()> {
    let people = seed::demo(app).await?;
    output.text("demo shop; sign in with")?;
    for (email, password) in people {
        output.text(&format!("  {email}  {password}"))?;
    }
    output.text(&format!("console at {}/", app.public_url))
}

/// The first signal ends in peace, the second at once.
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
                std::process::exit(1);
            }
            stop.cancel();
            tracing::info!("stopping; once more to stop at once");
        }
    });
    Ok(())
}
