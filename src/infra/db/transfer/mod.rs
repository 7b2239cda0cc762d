//! `shop transfer`: copies a whole database to another, on the same or the other engine.
//!
//! The source is read in one snapshot, the target written in one transaction. Before the commit every table
//! of the target is read back and its checksum compared with the source's. The tables come from the schema,
//! so a new table needs no code here.

mod batch;
mod checksum;
mod copy;
mod endpoint;
mod schema;

pub(crate) use self::checksum::hash_cell;
pub use self::{
    checksum::CopiedTable,
    copy::{ExternalData, FileColumn, for_each_file, transfer},
};
pub(super) use self::{copy::copy_running, schema::TABLES};
