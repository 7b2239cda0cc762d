//! The manifest of an archive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::error::{Error, Result};

/// The version of the archive format.
const FORMAT: u32 = 1;

/// What an archive contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of the archive format.
    pub format: u32,
    /// The version of the program that made it.
    pub program: String,
    /// The engine of the database: `sqlite` or `postgres`.
    pub engine: String,
    /// The version of the schema.
    pub schema: i64,
    /// When it was made (RFC 3339). It contains everything that was acknowledged before.
    pub created_at: String,
    /// The sequence number of the newest event.
    pub seq: i64,
    /// The number of rows by table.
    pub rows: BTreeMap<String, u64>,
    pub images: Images,
    /// The position of the database in the WAL archive of the place, if it has one. Generations are named by the time at
    /// which they begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
}

/// The position of a base backup in the WAL archive: it contains at most this many frames of this epoch, and none of a
/// later one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    pub generation: String,
    pub epoch: u32,
    pub frames: u32,
}

impl Base {
    /// Returns whether the commits up to a frame of an epoch include those of the backup.
    pub(super) fn is_included_in(&self, epoch: u32, frame: u32) -> bool {
        epoch > self.epoch || frame >= self.frames
    }
}

/// The images of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    pub stored_in: StoredIn,
    /// The names of the images, sorted.
    pub names: Vec<String>,
    /// How many more an image host serves under its own URLs.
    pub hosted: u64,
}

/// Where the images of a backup are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredIn {
    /// In the archive.
    Archive,
    /// In the folder `images/` beside the archive, which all archives there share.
    Place,
    /// Where the shop stores them: they are listed, and not copied.
    ImageStore,
}

impl Base {
    /// Returns the position at which a generation begins.
    pub(super) fn start_of(generation: String) -> Base {
        Base {
            generation,
            epoch: 0,
            frames: 0,
        }
    }
}

impl Manifest {
    /// Returns a manifest of the current format.
    pub fn new(
        engine: &str,
        created_at: String,
        schema: i64,
        seq: i64,
        rows: BTreeMap<String, u64>,
        images: Images,
    ) -> Manifest {
        Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            engine: engine.to_owned(),
            schema,
            created_at,
            seq,
            rows,
            images,
            base: None,
        }
    }

    /// Returns whether both archives have the same numbers of rows, events and images.
    pub(super) fn has_contents_of(&self, other: &Manifest) -> bool {
        let same_time = Manifest {
            created_at: other.created_at.clone(),
            base: other.base.clone(),
            ..self.clone()
        };
        same_time == *other
    }

    /// Parses a manifest.
    ///
    /// Errors: `CommandFailed` if it is damaged, or a newer version of the program has written it.
    pub(super) fn parse(text: &[u8]) -> Result<Manifest> {
        /// What every format has.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
            program: String,
        }
        let damaged = |error: serde_json::Error| {
            Error::command_failed("its manifest is damaged").caused_by(error)
        };
        let version: Version = serde_json::from_slice(text).map_err(damaged)?;
        if version.format > FORMAT {
            return Err(Error::command_failed(format!(
                "version {} of `shop` made it in a newer format; use that version",
                version.program
            )));
        }
        let manifest: Manifest = serde_json::from_slice(text).map_err(damaged)?;
        match manifest
            .images
            .names
            .iter()
            .find(|name| !is_file_name(name))
        {
            Some(name) => Err(Error::command_failed(format!(
                "its manifest names an image `{name}`, which is not the name of a file"
            ))),
            None => Ok(manifest),
        }
    }
}

/// Returns whether a text is the plain name of a file, without a path.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}
