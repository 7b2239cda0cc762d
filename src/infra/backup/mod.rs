//! Backups: the archive format, and the places that hold archives.
//!
//! An archive is a gzip-compressed tar file, which standard tools can open and check (`tar xzf`, `sha256sum -c`):
//!
//! | entry | contents |
//! |---|---|
//! | `manifest.json` | what the archive contains ([`Manifest`]); the first entry, so that it can be read alone |
//! | `shop.db` | the database, as a `SQLite` file |
//! | `images/…` | the images, unless the archive is in a place, which keeps each image once |
//! | `SHA256SUMS` | the checksums of all other entries; the last entry, so that a cut file has none |
//!
//! A place may also hold archived WAL frames (`segment`), which lead from an archive of a `SQLite` database, its *base
//! backup*, to any later commit (`replay`). Small segments are merged (`merge`).
//!
//! The checksums come last so that every file is read only once. A reader must not use an entry before
//! [`archive::read`] has returned.

pub mod archive;
mod delta;
mod manifest;
mod merge;
mod place;
mod replay;
mod retention;
mod segment;
pub mod state;

pub use self::{
    manifest::{Base, Images, Manifest, StoredIn},
    merge::{Merged, PARTS, merge},
    place::{Place, Stored, StoredImage, archive_name},
    replay::{Replayed, replay},
    retention::{Removed, remove_repetition, retain},
    segment::{Segment, SegmentName},
};
