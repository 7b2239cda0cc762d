//! `shop admin product import`: imports products from a CSV file.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use crate::{
    app::App,
    cli::{
        output::{Output, count, print_message},
        progress,
        write::write,
    },
    core::error::{Error, Result},
    domain::catalog::{self, ImportFile, ImportSummary, RowError},
};

/// Validates the whole file, then writes all rows in one transaction. `again` applies stock differences that
/// have been imported before.
///
/// Errors: `CommandFailed` if any row is invalid, after printing every such row; nothing is changed.
pub(super) async fn run(app: &Arc<App>, output: Output, file: &Path, again: bool) -> Result<()> {
    let text = read(file)?;
    let bar = progress::bar(text.len() as u64, "reading");
    let mut csv = ImportFile::read(&text, app.settings().currency, |bytes| {
        bar.set_position(bytes as u64);
    });
    bar.finish_and_clear();
    drop(text);
    if again {
        csv.repeat();
    }
    let csv = Arc::new(csv);

    let planned = Arc::clone(&csv);
    let plan = app
        .db
        .long_read("catalog.survey", move |tx| {
            catalog::plan_import(tx, &planned)
        })
        .await?;
    reject_invalid(file, &plan.row_errors)?;

    let bar = progress::bar(plan.pending_products() as u64, "writing");
    let position = bar.clone();
    let imported = write(app, "catalog.import", move |tx| {
        catalog::import(tx, &csv, &plan, |done| position.set_position(done as u64))
    })
    .await;
    bar.finish_and_clear();
    match imported? {
        Err(errors) => reject_invalid(file, &errors),
        Ok(imported) => {
            print_warnings(&imported);
            output.value(&imported, &summary(&imported))
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let text = if file == Path::new("-") {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text).map(|_| text)
    } else {
        fs::read(file)
    };
    text.map_err(|error| {
        let detail = format!("cannot read `{}`: {error}", file.display());
        Error::command_failed(detail).caused_by(error)
    })
}

/// Prints every error, and fails if there is any.
fn reject_invalid(file: &Path, errors: &[RowError]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<u64> = errors.iter().map(|error| error.line).collect();
    lines.dedup();
    for error in errors {
        print_message(&error.to_string());
    }
    Err(Error::command_failed(format!(
        "`{}` has {}, listed above; nothing was changed",
        file.display(),
        count(lines.len() as u64, "invalid line"),
    )))
}

fn print_warnings(imported: &ImportSummary) {
    if imported.without_images > 0 {
        print_message(&format!(
            "new products without images, though their rows list some: {}; an import does not upload images",
            imported.without_images
        ));
    }
    if imported.stock_ignored > 0 {
        print_message(&format!(
            "rows with `stockQuantity` but without `stockAtExport`: {}; their stock did not change",
            imported.stock_ignored
        ));
    }
}

fn summary(imported: &ImportSummary) -> String {
    let variants = match (imported.variants_created, imported.variants_updated) {
        (0, 0) => String::new(),
        (created, updated) => format!("; variants: {created} created, {updated} updated"),
    };
    let stock = match imported.stock_set {
        0 => String::new(),
        count => format!("; {count} with their stock set, ignoring sales in the meantime"),
    };
    format!(
        "products: {} created, {} updated, {} unchanged{variants}{stock}; categories: {} created",
        imported.created, imported.updated, imported.unchanged, imported.categories
    )
}
