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

use super::args::settings_with_flag;
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
    /// Flags, environment and file: highest precedence first.
    layers: [Layer; 3],
    /// The configuration file, if one was read.
    path: Option<PathBuf>,
}

impl ConfigSources {
    /// Reads the environment and the configuration file. `config_flag` is the value of `--config`.
    ///
    /// Errors: `Config` for a password in a flag, or a configuration file that cannot be read.
    /// [`ConfigSources::merge`] reports all other errors, together with wrong values.
    pub(super) fn load(flags: Layer, config_flag: Option<PathBuf>) -> Result<ConfigSources> {
        reject_passwords(&flags)?;
        let variables: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let environment = Layer::from_environment(&variables, |path| fs::read_to_string(path));
        let from_variable = variables.get(FILE_VARIABLE).filter(|path| !path.is_empty());
        let explicit = config_flag.or_else(|| from_variable.map(PathBuf::from));
        let data_dir = flags.get("data_dir").or(environment.get("data_dir"));
        // An invalid data directory has no file; the merge reports it.
        let data_dir = config::directory(data_dir.unwrap_or(DATA_DIR)).ok();
        let path = explicit.clone().or(data_dir.map(|it| it.join(FILE_NAME)));
        let mut sources = ConfigSources {
            layers: [flags, environment, Layer::default()],
            path: None,
        };
        let Some(path) = path else {
            return Ok(sources);
        };
        let Some(text) = read(&path, explicit.is_some())? else {
            return Ok(sources);
        };
        let mut file = Layer::from_file(&path, &text);
        if explicit.is_none() && file.get("data_dir").is_some() {
            file.add_error(
                &path,
                "`data_dir` has no effect in the data directory itself; use `--data-dir`, `SHOP_DATA_DIR`, or a \
                 file named by `--config`",
            );
        }
        sources.layers[2] = file;
        sources.path = Some(path);
        Ok(sources)
    }

    /// Returns the layers, highest precedence first.
    pub(super) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Merges the sources and the defaults.
    ///
    /// Errors: `Config` with everything that is wrong.
    pub(super) fn merge(&self) -> Result<Config> {
        Config::from_layers(&self.layers).map_err(Error::config)
    }

    /// Returns the value of a key that the configuration file cannot set.
    pub(super) fn flag_or_variable(&self, key: &str) -> Option<&str> {
        let [flags, environment, _] = &self.layers;
        flags.get(key).or(environment.get(key))
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

/// Reads a configuration file. Returns `None` if it does not exist.
///
/// Errors: `Config` if it cannot be read, or if it does not exist and the operator named it (`is_explicit`).
fn read(path: &Path, is_explicit: bool) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if !is_explicit && is_absent(&error) => Ok(None),
        Err(error) => {
            // If the data directory belongs to another user, that is the better error.
            if let Some(data_dir) = path.parent().filter(|_| !is_explicit) {
                check_owner(data_dir)?;
            }
            let path = path.display();
            Err(Error::config(format!("cannot read `{path}`: {error}")))
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Refuses passwords in flags: all users of a machine can read the arguments of its processes.
fn reject_passwords(flags: &Layer) -> Result<()> {
    for (setting, flag) in settings_with_flag() {
        let Some(file) = setting.file_variable() else {
            continue;
        };
        let Some(url) = flags.get(setting.name) else {
            continue;
        };
        if let Location::Postgres(server) = Location::parse(url)?
            && server.has_password()
        {
            let (flag, variable) = (flag.name, setting.variable());
            return Err(Error::config(format!(
                "`--{flag}` must not contain a password, since other users of this machine can read it; set \
                 `{variable}`, or `{file}` to a file with the URL"
            )));
        }
    }
    Ok(())
}
