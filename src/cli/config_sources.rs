//! The sources of settings, by precedence: flags, the environment, the configuration file.
//!
//! The configuration file is the one named by `--config` or `SHOP_CONFIG`, or else `shop.toml` in the data
//! directory. It is never read from the current directory, where another user may have put it.

use std::{
    collections::BTreeMap,
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{
    core::error::{Error, Result},
    infra::{
        config::{self, Config, DATA_DIR, FILE_VARIABLE, Layer},
        db::Location,
    },
    server::check_owner,
};

const FILE_NAME: &str = "shop.toml";

/// The settings of each source.
pub(super) struct ConfigSources {
    flags: Layer,
    environment: Layer,
    file: Layer,
    /// The configuration file, if one was read.
    path: Option<PathBuf>,
}

impl ConfigSources {
    /// Reads the environment and the configuration file. `config_flag` is the value of `--config`.
    ///
    /// Errors: `Config` for an unknown key, a syntax error, or a file that cannot be read.
    pub(super) fn load(flags: Layer, config_flag: Option<PathBuf>) -> Result<ConfigSources> {
        refuse_passwords(&flags)?;
        let variables: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let environment = config::from_environment(&variables, |path| fs::read_to_string(path))
            .map_err(Error::config)?;
        let from_variable = variables.get(FILE_VARIABLE).filter(|path| !path.is_empty());
        let explicit = config_flag.or_else(|| from_variable.map(PathBuf::from));
        let data_dir = [&flags, &environment]
            .into_iter()
            .find_map(|layer| layer.get("data_dir"));
        let data_dir = data_dir.map_or(DATA_DIR, String::as_str);
        let data_dir = config::directory("data_dir", data_dir).map_err(Error::config)?;
        let default = data_dir.join(FILE_NAME);
        let path = explicit.as_ref().unwrap_or(&default);
        let invalid = |verb: &str, error: &dyn std::fmt::Display| {
            Error::config(format!("{verb}`{}`: {error}", path.display()))
        };
        let file = match fs::read_to_string(path) {
            Ok(text) => config::parse_file(&text).map_err(|error| invalid("", &error))?,
            Err(error) if explicit.is_none() && is_absent(&error) => {
                return Ok(ConfigSources {
                    flags,
                    environment,
                    file: Layer::new(),
                    path: None,
                });
            }
            Err(error) => {
                // If the data directory belongs to another user, that is the better error.
                if explicit.is_none() {
                    check_owner(&data_dir)?;
                }
                return Err(invalid("cannot read ", &error));
            }
        };
        if explicit.is_none() && file.contains_key("data_dir") {
            let detail = "`data_dir` has no effect in the data directory itself; use `--data-dir`, \
                          `SHOP_DATA_DIR`, or a file named by `--config`";
            return Err(invalid("", &detail));
        }
        Ok(ConfigSources {
            flags,
            environment,
            file,
            path: Some(path.clone()),
        })
    }

    /// Returns the sources with their names, highest precedence first.
    pub(super) fn by_precedence(&self) -> [(&'static str, &Layer); 3] {
        [
            ("flag", &self.flags),
            ("environment", &self.environment),
            ("file", &self.file),
        ]
    }

    /// Merges the sources and the defaults.
    ///
    /// Errors: `Config` for an invalid value.
    pub(super) fn merge(&self) -> Result<Config> {
        let layers = self.by_precedence().map(|(_, layer)| layer.clone());
        Config::from_layers(&layers).map_err(Error::config)
    }

    /// Returns the value of a key that the configuration file cannot set.
    pub(super) fn flag_or_variable(&self, key: &str) -> Option<&str> {
        let value = self.flags.get(key).or_else(|| self.environment.get(key));
        value.map(String::as_str)
    }

    /// Returns the configuration file, if one was read.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Logs which file was read. Warns if there is one in the current directory, which earlier versions read.
    pub(super) fn log_file(&self) {
        if let Some(path) = self.path() {
            tracing::info!(file = %path.display(), "read settings");
        }
        let is_read = |path: &Path| fs::canonicalize(path).ok() == fs::canonicalize(FILE_NAME).ok();
        if Path::new(FILE_NAME).exists() && !self.path().is_some_and(is_read) {
            tracing::warn!(
                "`shop.toml` in the current directory is not read; use `--config shop.toml`, or move it into \
                 the data directory"
            );
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Refuses passwords in flags: all users of a machine can read the arguments of its processes.
fn refuse_passwords(flags: &Layer) -> Result<()> {
    for (key, flag) in [
        ("database_url", "--database-url"),
        ("transfer_from", "--from"),
        ("transfer_to", "--to"),
    ] {
        let Some(url) = flags.get(key) else {
            continue;
        };
        if let Location::Postgres(server) = Location::parse(url)?
            && server.has_password()
        {
            let variable = format!("SHOP_{}", key.to_uppercase());
            return Err(Error::config(format!(
                "`{flag}` must not contain a password, since other users of this machine can read it; set \
                 `{variable}`, or `{variable}_FILE` to a file with the URL"
            )));
        }
    }
    Ok(())
}
