//! CSV import. A file is first compared with the catalog in a read: every invalid row is reported, and products
//! that do not change are skipped.
//!
//! The others are written in one transaction, in batches. It compares them again with the rows
//! locked, because others may have written in between.

mod apply;
mod duplicates;
mod ids;
mod plan;
mod skus;
mod variants;

pub use self::{
    apply::{ImportSummary, import},
    duplicates::delete_expired_imports,
    plan::{ImportPlan, plan_import},
};
