//! Groups the rows of a file into products.

use super::{
    import_file::ImportFile,
    import_row::{CategoryCell, ImportProduct, ImportVariant},
};
use crate::domain::catalog::variant::MAX_VARIANTS;

impl ImportFile {
    /// Adds a row to the product at this index, or as a new product. Returns the index of its product.
    ///
    /// Errors: all that contradicts other rows of the product.
    pub(super) fn add_row(
        &mut self,
        product: Option<usize>,
        row: ImportProduct,
    ) -> Result<usize, Vec<String>> {
        if let Some(index) = product {
            self.products[index].add(row)?;
            return Ok(index);
        }
        self.products.push(row);
        Ok(self.products.len() - 1)
    }
}

impl ImportProduct {
    /// Adds a row of the same product. A column of the product that is empty in one of them is filled from the other.
    fn add(&mut self, row: ImportProduct) -> Result<(), Vec<String>> {
        if let Some(why) = row.variants.iter().find_map(|row| self.contradiction(row)) {
            return Err(vec![why]);
        }
        self.variants.extend(row.variants);
        let mut problems = Vec::new();
        let line = self.line;
        let mut differs = |column: &str| {
            problems.push(format!(
                "`{column}` differs from that of the same product in line {line}"
            ));
        };
        match (&self.name, row.name) {
            (Some(name), Some(new)) if name.text.as_str() != new.text.as_str() => differs("name"),
            (None, Some(new)) => self.name = Some(new),
            _ => {}
        }
        match (&self.description, row.description) {
            (_, Some(new)) if new.as_str().is_empty() => {}
            (Some(text), new) if text.as_str().is_empty() => self.description = new,
            (Some(text), Some(new)) if text.as_str() != new.as_str() => differs("description"),
            _ => {}
        }
        match (self.category, row.category) {
            (CategoryCell::Named(named), CategoryCell::Named(new)) if named != new => {
                differs("category");
            }
            (CategoryCell::Empty, new) => self.category = new,
            _ => {}
        }
        self.has_images |= row.has_images;
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// Returns why a row cannot be another variant of the product.
    fn contradiction(&self, new: &ImportVariant) -> Option<String> {
        if let Some(unnamed) = self
            .variants
            .iter()
            .find(|it| !(it.is_named() && new.is_named()))
        {
            return Some(format!("`id` is in line {} already", unnamed.line));
        }
        if self.variants.len() == MAX_VARIANTS {
            return Some(format!("a product has at most {MAX_VARIANTS} variants"));
        }
        let mut others = self.variants.iter().filter(|it| !it.options.is_empty());
        if new.options.is_empty() {
            return None;
        }
        let first = others.clone().next()?;
        if !first.has_same_options(new) {
            let names = first
                .options
                .iter()
                .map(|it| format!("`{}`", it.name.as_str()));
            let names: Vec<String> = names.collect();
            return Some(format!(
                "must have the options of line {}: {}",
                first.line,
                names.join(", ")
            ));
        }
        let same = others.find(|it| it.has_same_values(new))?;
        Some(format!(
            "the same options are in line {} already",
            same.line
        ))
    }
}

impl ImportVariant {
    fn has_same_options(&self, other: &ImportVariant) -> bool {
        let has = |name: &str| other.options.iter().any(|it| it.name_key == name);
        self.options.len() == other.options.len() && self.options.iter().all(|it| has(&it.name_key))
    }

    fn has_same_values(&self, other: &ImportVariant) -> bool {
        let has = |name: &str, value: &str| {
            other
                .options
                .iter()
                .any(|it| it.name_key == name && it.value_key == value)
        };
        self.options
            .iter()
            .all(|it| has(&it.name_key, &it.value_key))
    }
}
