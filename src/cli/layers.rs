//! Where settings come from: flags, the environment, and one file. The file is the one that `--config` or
//! `SHOP_CONFIG` names, else `shop.toml` in the data directory. It is never one of the current directory,
//! where another user may have put it.

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

const FILE: &str = "shop.toml";

/// The values of flags, environment and file.
pub(super) struct Layers {
    flags: Layer,
    environment: Layer,
    file: Layer,
    /// The file that was read.
    path: Option<PathBuf>,
}

impl Layers {
    /// `named`: the value of `--config`.
    pub(super) fn load(flags: Layer, named: Option<PathBuf>) -> Result<Layers> {
        refuse_password(&flags)?;
        let variables: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let environment = config::from_environment(&variables, |path| fs::read_to_string(path))
            .map_err(Error::config)?;
        let of_variable = variables.get(FILE_VARIABLE).filter(|path| !path.is_empty());
        let named = named.or_else(|| of_variable.map(PathBuf::from));
        let data_dir = [&flags, &environment]
            .into_iter()
            .find_map(|layer| layer.get("data_dir"));
        let data_dir = data_dir.map_or(DATA_DIR, String::as_str);
        let default = config::directory("data_dir", data_dir).map_err(Error::config)?;
        let default = default.join(FILE);
        let path = named.as_ref().unwrap_or(&default);
        let wrong = |verb: &str, error: &dyn std::fmt::Display| {
            Error::config(format!("{verb}`{}`: {error}", path.display()))
        };
        let file = match fs::read_to_string(path) {
            Ok(text) => config::parse_file(&text).map_err(|error| wrong("", &error))?,
            Err(error) if named.is_none() && is_absent(&error) => {
                return Ok(Layers {
                    flags,
                    environment,
                    file: Layer::new(),
                    path: None,
                });
            }
            Err(error) => {
                // The data directory of another user is closed: say whose it is.
                if let Some(data_dir) = path.parent().filter(|_| named.is_none()) {
                    check_owner(data_dir)?;
                }
                return Err(wrong("cannot read ", &error));
            }
        };
        if named.is_none() && file.contains_key("data_dir") {
            let why = "`data_dir` has no effect in the data directory itself; use `--data-dir`, \
                       `SHOP_DATA_DIR`, or a file named by `--config`";
            return Err(wrong("", &why));
        }
        Ok(Layers {
            flags,
            environment,
            file,
            path: Some(path.clone()),
        })
    }

    /// With their names, the strongest first.
    pub(super) fn named(&self) -> [(&'static str, &Layer); 3] {
        [
            ("flag", &self.flags),
            ("environment", &self.environment),
            ("file", &self.file),
        ]
    }

    /// Merges them.
    pub(super) fn config(&self) -> Result<Config> {
        Config::from_layers(&self.named().map(|(_, layer)| layer.clone())).map_err(Error::config)
    }

    /// The value of a key that no file may have.
    pub(super) fn outside_file(&self, name: &str) -> Option<&str> {
        let found = self.flags.get(name).or_else(|| self.environment.get(name));
        found.map(String::as_str)
    }

    /// The file that was read.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Logs which file was read. Earlier versions read the one in the current directory; if there is
    /// one, this warns about it.
    pub(super) fn log_file(&self) {
        if let Some(path) = self.path() {
            tracing::info!(file = %path.display(), "read settings");
        }
        let is_read = |path: &Path| fs::canonicalize(path).ok() == fs::canonicalize(FILE).ok();
        if Path::new(FILE).exists() && !self.path().is_some_and(is_read) {
            tracing::warn!(
                "`shop.toml` in the current directory is not read; name it by `--config shop.toml`, or \
                 move it into the data directory"
            );
        }
    }
}

/// Whether there is no such file, or no data directory that could hold it.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Every user of the machine can read the arguments of a program.
fn refuse_password(flags: &Layer) -> Result<()> {
    for (name, flag) in [
        ("database_url", "--database-url"),
        ("transfer_from", "--from"),
        ("transfer_to", "--to"),
    ] {
        let Some(url) = flags.get(name) else {
            continue;
        };
        if let Location::Postgres(server) = Location::parse(url)?
            && server.has_password()
        {
            let variable = format!("SHOP_{}", name.to_uppercase());
            return Err(Error::config(format!(
                "`{flag}` must not hold a password, which other users of this machine could read; set \
                 `{variable}`, or `{variable}_FILE` to a file with the URL"
            )));
        }
    }
    Ok(())
}
