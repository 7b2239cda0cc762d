//! `shop doctor`: checks the configuration, the machine, the database and the external services.
//!
//! Each check is ok, a warning or an error; the last two name a remedy. Nothing is changed.

mod local;
mod services;

use super::{
    config_sources::ConfigSources,
    migrate::check_schema,
    open::{self, ImageAccess},
    output::{Output, count},
    shop_not_found::shop_not_found,
    startup_warnings,
};
use crate::{
    core::error::{Error, Result, chain},
    infra::{
        config::Config,
        db::{Location, integrity},
    },
    server::{
        self, DataDir,
        checks::{self, Check, CheckStatus},
    },
};

/// Reports a configuration that cannot be used, after which nothing else can be checked.
pub(super) fn report_invalid_configuration(error: &Error, output: Output) -> Result<()> {
    let check = Check::new("configuration", CheckStatus::Error, error.detail());
    report(&[check], output)
}

/// Errors: `CommandFailed` if a check found an error.
pub(super) async fn run(config: Config, sources: &ConfigSources, output: Output) -> Result<()> {
    let mut checks = vec![local::versions()];
    checks.extend(configuration(&config, sources));
    checks.extend(wrong_settings(&config));
    let permissions = local::permissions(&config.data_dir);
    let may_open = permissions.status != CheckStatus::Error;
    checks.push(permissions);
    // Otherwise SQLite might create files that the owner of the data directory cannot use.
    if may_open {
        checks.extend(database(&config).await);
    }
    let is_usable = checks.iter().all(|it| it.status != CheckStatus::Error);
    if is_usable {
        checks.extend(open_shop(config).await);
    }
    report(&checks, output)
}

/// Returns what is wrong with the settings of a service or a file, which keeps a server from starting.
fn wrong_settings(config: &Config) -> Vec<Check> {
    let checked = server::check_settings(config).into_iter();
    checked
        .filter_map(|(name, checked)| {
            let error = checked.err()?;
            Some(Check::new(name, CheckStatus::Error, error.detail()))
        })
        .collect()
}

fn report(checks: &[Check], output: Output) -> Result<()> {
    output.table(&["check", "status", "detail"], checks, |check| {
        vec![
            check.name.to_owned(),
            check.status.as_str().to_owned(),
            check.detail.clone(),
        ]
    })?;
    let is_error = |check: &&Check| check.status == CheckStatus::Error;
    let errors = checks.iter().filter(is_error).count() as u64;
    if errors == 0 {
        return Ok(());
    }
    let errors = count(errors, "error");
    Err(Error::command_failed(format!(
        "{errors} found; the details above say what to do"
    )))
}

fn configuration(config: &Config, sources: &ConfigSources) -> Vec<Check> {
    let public_url = config.public_url(config.listen);
    let warnings = startup_warnings::warnings(config, &public_url, false);
    if warnings.is_empty() {
        let source = match sources.path() {
            Some(path) => format!("valid; read from `{}` as well", path.display()),
            None => "valid; no configuration file".to_owned(),
        };
        return vec![Check::new("configuration", CheckStatus::Ok, source)];
    }
    let warnings = warnings.into_iter();
    let to_check = |warning| Check::new("configuration", CheckStatus::Warning, warning);
    warnings.map(to_check).collect()
}

/// Checks that the database exists, has the current schema and is not damaged.
async fn database(config: &Config) -> Vec<Check> {
    let version = match schema_version(config).await {
        Ok(version) => version,
        Err(error) => return vec![Check::new("schema", CheckStatus::Error, error.detail())],
    };
    let schema = match check_schema(version) {
        Ok(()) => Check::new("schema", CheckStatus::Ok, format!("V{version}")),
        Err(error) => Check::new("schema", CheckStatus::Error, error.detail()),
    };
    let mut found = vec![schema];
    match server::location(config) {
        Ok(location @ Location::Sqlite(_)) => found.push(check_integrity(location).await),
        Ok(Location::Postgres(_)) => {}
        Err(error) => found.push(Check::new("integrity", CheckStatus::Error, error.detail())),
    }
    found
}

async fn schema_version(config: &Config) -> Result<u32> {
    let version = server::location(config)?.check().await?;
    version.ok_or_else(|| shop_not_found(config))
}

async fn check_integrity(location: Location) -> Check {
    let checked = tokio::task::spawn_blocking(move || integrity::check(&location)).await;
    let problems = match checked.map_err(Error::internal).flatten() {
        Ok(problems) => problems,
        Err(error) => {
            let cause = chain(&error);
            let detail =
                format!("{cause}; if the file is damaged, restore a backup by `shop restore`");
            return Check::new("integrity", CheckStatus::Error, detail);
        }
    };
    match problems.first() {
        None => Check::new("integrity", CheckStatus::Ok, "the database file is sound"),
        Some(first) => Check::new(
            "integrity",
            CheckStatus::Error,
            format!(
                "the database file is damaged ({first}); stop the server and restore a backup by `shop restore`"
            ),
        ),
    }
}

/// Opens the shop for the checks that need it.
async fn open_shop(config: Config) -> Vec<Check> {
    let is_local = config.database_url.is_none();
    let opened = open::open(config, ImageAccess::Needed).await;
    let (data_dir, app) = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![Check::new("shop", CheckStatus::Error, error.detail())],
    };
    let mut found = checks::stored_state(&app).await;
    if is_local {
        found.push(local::sync_speed(data_dir.root()));
    }
    found.extend(services::check(&app).await);
    found.push(services::backup(&app).await);
    found.extend(services::certificate(&app, &data_dir).await);
    found.push(services::public_url(&app, is_running(&data_dir)).await);
    open::close(&app).await;
    found
}

fn is_running(data_dir: &DataDir) -> bool {
    matches!(data_dir.running_server(), Ok(Some(_)))
}
