//! The command line. Results go to stdout, logs and progress to stderr; a failure is one line that
//! says why and what to do.

mod admin;
mod config;
mod help;
mod layers;
mod missing;
mod output;
mod seed;
mod serve;
mod transfer;
mod verify;
mod warnings;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};

use self::{layers::Layers, output::Output};
use crate::{
    app::App,
    core::{
        clock::Clock,
        error::{Error, Kind, Result},
        rng::Rng,
    },
    infra::{
        config::{Config, Layer},
        db, file_modes,
        ports::NoImages,
    },
    server::{self, Home, Parts},
};

/// A shop that is one program: accounts, catalog, carts, orders, payments and live stock on one
/// `SQLite` file
#[derive(Debug, Parser)]
#[command(name = "shop", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Where the shop is kept [env: `SHOP_DATA_DIR`] [default: `shop-data`]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// A Postgres database instead of the file in the data directory, e.g.
    /// `postgres://user@host/name?sslmode=verify-full`. A URL with a password goes into the variable or
    /// into the file that `SHOP_DATABASE_URL_FILE` names [env: `SHOP_DATABASE_URL`]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// A file of settings, e.g. `listen = "0.0.0.0:80"` [env: `SHOP_CONFIG`] [default: `shop.toml` in
    /// the data directory, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// `text` or `json` [env: `SHOP_LOG_FORMAT`] [default: `text`]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the shop
    Serve(serve::Serve),
    /// Look after the shop; works beside a running server
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Move the shop between `SQLite` and Postgres; nobody may be serving it
    Transfer(transfer::Transfer),
    /// Hold the shop's data against its own rules, and say which row breaks which
    Verify(verify::Verify),
    /// Show the effective settings and where each comes from, secrets redacted, and the limits
    Config,
    /// Print the `OpenAPI` 3.1 document of the API
    Openapi,
}

/// Parses the arguments and runs the command. Returns 0 when it is done, 1 when it failed, 2 for wrong
/// usage or settings.
pub fn main() -> ExitCode {
    file_modes::restrict_umask();
    let cli = help::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::fail(&error);
            ExitCode::from(exit_code(error.kind()))
        }
    }
}

/// 2 for a flag or a setting that is wrong in itself, 1 for everything else.
fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Config | Kind::Invalid(_) => 2,
        _ => 1,
    }
}

fn run(cli: Cli) -> Result<()> {
    let output = Output::new(cli.global.json);
    if let Command::Openapi = cli.command {
        return output.text(
            &server::document()
                .to_pretty_json()
                .map_err(Error::internal)?,
        );
    }
    let mut flags = Layer::new();
    flags.extend(
        cli.global
            .data_dir
            .map(|value| ("data_dir".to_owned(), value)),
    );
    flags.extend(
        cli.global
            .database_url
            .map(|value| ("database_url".to_owned(), value)),
    );
    flags.extend(
        cli.global
            .log_format
            .map(|value| ("log_format".to_owned(), value)),
    );
    match &cli.command {
        Command::Serve(serve) => {
            let listen = serve.listen.clone();
            flags.extend(listen.map(|value| ("listen".to_owned(), value)));
        }
        Command::Transfer(transfer) => flags.extend(transfer.layer()),
        _ => {}
    }
    let layers = Layers::load(flags, cli.global.config)?;
    let config = layers.config()?;
    if let Command::Config = cli.command {
        return config::show(&layers, &config, output);
    }
    output::start_log(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // What blocks is bounded where it is asked for; this bounds its threads in any case.
        .max_blocking_threads(64)
        .build()
        .map_err(Error::internal)?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => serve.run(config, &layers, output).await,
            Command::Admin(command) => command.run(config, output).await,
            Command::Transfer(_) => transfer::run(config, &layers, output).await,
            Command::Verify(verify) => verify.run(config, output).await,
            Command::Config | Command::Openapi => Ok(()),
        }
    })
}

/// What a command does with pictures. Only one that handles them needs to reach where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pictures {
    Untouched,
    Handled,
}

/// Opens the shop for a command that works beside a server or without one.
///
/// Errors: `Unavailable` where there is no shop; nothing is created.
async fn open(config: Config, pictures: Pictures) -> Result<(Home, Arc<App>)> {
    missing::refuse_missing(&config).await?;
    let home = match pictures {
        Pictures::Untouched => Home::existing(&config.data_dir)?,
        Pictures::Handled => Home::open(&config.data_dir)?,
    };
    let (clock, rng) = (Clock::system(), Rng::system());
    let app = open_in(&home, config, clock, rng, pictures).await?;
    Ok((home, app))
}

/// Opens the shop in its data directory. Links begin with the public URL of the server that is running
/// there, else with the configured one.
async fn open_in(
    home: &Home,
    config: Config,
    clock: Clock,
    rng: Rng,
    pictures: Pictures,
) -> Result<Arc<App>> {
    let public_url = match home.running()? {
        Some(server) => server.public_url.unwrap_or(server.url),
        None => config.public_url(config.listen),
    };
    let parts = Parts {
        clock,
        rng,
        images: match pictures {
            Pictures::Untouched => Some(Arc::new(NoImages)),
            Pictures::Handled => None,
        },
        storage: db::Options {
            // Whoever waits for a command can break it off; beside a busy server it waits for its turn.
            busy: Duration::from_mins(1),
            scan: Duration::from_hours(24),
            // A sheet or a seed is a few commits that write much.
            cache: 65_536,
            ..db::Options::default()
        },
        ..Parts::new(config, public_url)
    };
    server::open(home, parts).await
}
