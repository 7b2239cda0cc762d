//! The command line: parses the arguments, runs one command, returns the exit code.
//!
//! Results go to stdout; logs, warnings and progress go to stderr. A command that fails prints one line with
//! the cause and the remedy. Each command has its own file or folder, named after it. The other files:
//!
//! | file | contents |
//! |---|---|
//! | `args.rs`, `suggestions.rs` | the arguments, and tips for mistyped ones |
//! | `config_sources.rs` | the sources of settings and their precedence |
//! | `open.rs`, `shop_not_found.rs` | opening the shop for a command, and the error if it does not exist |
//! | `output.rs`, `progress.rs`, `logging.rs` | results, progress bars and logs |
//! | `paging.rs` | the options of lists with pages |
//! | `write.rs` | writes, with their actor for the audit log |
//! | `startup_warnings.rs` | warnings about valid but dangerous settings |

mod admin;
mod args;
mod backup;
mod completions;
mod config;
mod config_sources;
mod doctor;
mod healthcheck;
mod logging;
mod man;
mod migrate;
mod open;
mod openapi;
mod output;
mod paging;
mod progress;
mod restore;
mod seed;
mod serve;
mod shop_not_found;
mod startup_warnings;
mod suggestions;
mod transfer;
mod verify;
mod watch;
mod write;

use std::process::ExitCode;

use self::{
    args::{Cli, Command},
    config_sources::ConfigSources,
    logging::Log,
    output::Output,
};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{config::Layer, file_modes},
};

/// Maximum number of threads for blocking work. Each use has its own, tighter limit.
const MAX_BLOCKING_THREADS: usize = 64;

/// Parses the arguments and runs the command. Returns 0 on success, 1 on failure, and 2 for wrong usage or
/// settings.
pub fn main() -> ExitCode {
    let (cli, flags) = args::parse();
    match run(cli, flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(exit_code(error.kind()))
        }
    }
}

fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Config | Kind::Invalid(_) => 2,
        _ => 1,
    }
}

fn run(cli: Cli, flags: Layer) -> Result<()> {
    let output = Output::new(cli.global.json);
    match cli.command {
        Command::Openapi => return openapi::run(output),
        Command::Completions(completions) => return completions.run(output),
        Command::Man(man) => return man.run(),
        _ => {}
    }
    // Not before `man`, whose pages are for all users.
    file_modes::restrict_umask();
    let loaded = ConfigSources::load(flags, cli.global.config)
        .and_then(|sources| Ok((sources.merge()?, sources)));
    let (config, sources) = match loaded {
        Err(error) if matches!(cli.command, Command::Doctor) => {
            return doctor::report_invalid_configuration(&error, output);
        }
        loaded => loaded?,
    };
    if let Command::Config = cli.command {
        return config::run(&sources, &config, output);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .map_err(Error::internal)?;
    let log = Log::install(
        &config,
        matches!(cli.command, Command::Serve(_)),
        runtime.handle(),
    )?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => {
                log.report_dropped_lines();
                let served = serve.run(config, &sources, output).await;
                log.end_traces();
                served
            }
            Command::Admin(command) => command.run(config, output).await,
            Command::Backup(command) => command.run(config, output).await,
            Command::Restore(restore) => restore.run(config, output).await,
            Command::Transfer => transfer::run(config, &sources, output).await,
            Command::Verify(verify) => verify.run(config, output).await,
            Command::Doctor => doctor::run(config, &sources, output).await,
            Command::Migrate(migrate) => migrate.run(&config, output).await,
            Command::Watch(watch) => watch.run(&config, output).await,
            Command::Healthcheck(healthcheck) => healthcheck.run(&config, output).await,
            Command::Config | Command::Openapi | Command::Completions(_) | Command::Man(_) => {
                Ok(())
            }
        }
    });
    // Before the log, so that no line of a task is lost.
    drop(runtime);
    done
}
