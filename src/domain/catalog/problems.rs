//! The problem types of the catalog.

use crate::core::{error::Kind, problem::ProblemType};

/// Every problem type of this domain.
pub const ALL: &[ProblemType] = &[
    ALREADY_IMPORTED,
    CATEGORY_EXISTS,
    CATEGORY_IN_USE,
    INSUFFICIENT_STOCK,
    LAST_VARIANT,
    OPTION_IN_USE,
    SKU_TAKEN,
    VARIANT_EXISTS,
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

pub const LAST_VARIANT: ProblemType = ProblemType::new(
    Kind::Conflict("last-variant"),
    "Product has no other variant",
    "Delete the product, or create another variant first.",
);

pub const OPTION_IN_USE: ProblemType = ProblemType::new(
    Kind::Conflict("option-in-use"),
    "Variants have values of the option",
    "Change or delete the variants in `errors` first, or keep their options and values in the list.",
);

pub const SKU_TAKEN: ProblemType = ProblemType::new(
    Kind::Conflict("sku-taken"),
    "SKU is already taken",
    "Choose another SKU, or remove it from the variant that has it.",
);

pub const VARIANT_EXISTS: ProblemType = ProblemType::new(
    Kind::Conflict("variant-exists"),
    "Another variant has these options",
    "Change that variant, or choose other values.",
);

pub const VARIANT_REQUIRED: ProblemType = ProblemType::new(
    Kind::Conflict("variant-required"),
    "Product has several variants",
    "Send the id of one of the variants in `errors`.",
);
