//! A parsed CSV file.

use sha2::{Digest, Sha256};

use super::import_row::{ImportProduct, ImportVariant, RowError, StockCell};
use crate::{core::id::ProductId, domain::catalog::category::CategoryName};

/// The products of a file's valid rows, and the errors of the others.
#[derive(Debug, Default)]
pub struct ImportFile {
    pub(in crate::domain::catalog) products: Vec<ImportProduct>,
    pub(in crate::domain::catalog) categories: Vec<CategoryName>,
    pub(in crate::domain::catalog) may_repeat: bool,
    /// The digest of the whole file.
    pub(in crate::domain::catalog) sha256: [u8; 32],
    pub(super) row_errors: Vec<RowError>,
}

impl ImportFile {
    /// Allows the file's stock differences to be imported again.
    pub fn repeat(&mut self) {
        self.may_repeat = true;
    }

    /// Returns the errors found without the catalog, ordered by line.
    pub fn row_errors(&self) -> &[RowError] {
        &self.row_errors
    }

    /// Returns the digest of the file's stock differences, or `None` if it has none. The digest ignores row
    /// order, formatting and all other columns, since only differences add up when applied twice.
    pub(in crate::domain::catalog) fn digest(&self) -> Option<[u8; 32]> {
        let mut differences = Vec::new();
        for product in &self.products {
            let Some(id) = product.id else { continue };
            for variant in &product.variants {
                if let StockCell::Moved { from, to } = variant.stock
                    && from != to
                {
                    differences.push((variant_key(id, variant), from, to));
                }
            }
        }
        differences.sort_unstable();
        let mut digest = Sha256::new();
        for (key, from, to) in &differences {
            digest.update(key);
            digest.update(from.to_be_bytes());
            digest.update(to.to_be_bytes());
        }
        (!differences.is_empty()).then(|| digest.finalize().into())
    }

    pub(super) fn add_row_error(&mut self, line: u64, why: String) {
        self.row_errors.push(RowError { line, why });
    }
}

/// Returns bytes that identify a variant. Those of the only variant of a product are the product's id.
fn variant_key(product: ProductId, variant: &ImportVariant) -> Vec<u8> {
    let mut key = product.0.as_bytes().to_vec();
    match variant.id {
        Some(id) if id == product.default_variant() => {}
        Some(id) => key.extend_from_slice(id.0.as_bytes()),
        None => {
            let options = variant.options.iter();
            let mut options: Vec<_> = options
                .map(|it| [&*it.name_key, "\0", &*it.value_key, "\0"].concat())
                .collect();
            options.sort_unstable();
            key.extend(options.concat().bytes());
        }
    }
    key
}
