//! The problem types of the catalog.

use crate::core::{error::Kind, problem::ProblemType};

/// Every problem type of this domain.
pub const ALL: &[ProblemType] = &[CATEGORY_EXISTS, CATEGORY_IN_USE, INSUFFICIENT_STOCK];

pub const CATEGORY_EXISTS: ProblemType = ProblemType::new(
    Kind::Conflict("category-exists"),
    "Category name is already taken",
    "Use the existing category or choose another name.",
);

pub const CATEGORY_IN_USE: ProblemType = ProblemType::new(
    Kind::Conflict("category-in-use"),
    "Category still contains products",
    "Move its products to another category or delete them first.",
);

pub const INSUFFICIENT_STOCK: ProblemType = ProblemType::new(
    Kind::Conflict("insufficient-stock"),
    "Not enough stock",
    "Reduce the quantities to what `errors` reports as available.",
);

/// A file's stock differences were imported before. Only the command line imports files, so this is no
/// problem type.
pub(super) const ALREADY_IMPORTED: Kind = Kind::Conflict("already-imported");
