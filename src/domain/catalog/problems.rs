//! The problem types of the catalog.

use crate::core::{error::Kind, problem::ProblemType};

/// Every problem type of this domain.
pub const ALL: &[ProblemType] = &[
    ALREADY_IMPORTED,
    CATEGORY_EXISTS,
    CATEGORY_IN_USE,
    INSUFFICIENT_STOCK,
    SKU_TAKEN,
    VARIANT_REQUIRED,
];

pub const ALREADY_IMPORTED: ProblemType = ProblemType::new(
    Kind::Conflict("already-imported"),
    "File was imported before",
    "Export the products again, or import the file by `shop admin product import --again`.",
);

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

pub const SKU_TAKEN: ProblemType = ProblemType::new(
    Kind::Conflict("sku-taken"),
    "SKU is already taken",
    "Choose another SKU, or remove it from the variant that has it.",
);

pub const VARIANT_REQUIRED: ProblemType = ProblemType::new(
    Kind::Conflict("variant-required"),
    "Product has several variants",
    "Send the id of one of the variants in `errors`.",
);
