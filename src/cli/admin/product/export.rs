//! `shop admin product export`: exports all products as CSV, to a file or to standard output.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    app::App,
    cli::{
        output::{Output, count, escape, print_message},
        progress,
    },
    core::error::{Error, Result},
    domain::catalog::{self, CsvWriter, ExportRow, VariantOption},
    infra::file_modes::open_options,
};

const BUFFER_SIZE: usize = 1 << 16;

/// The progress bar moves each time this many products have been written.
const PROGRESS_STEP: u64 = 1000;

#[derive(Serialize)]
struct Exported {
    products: u64,
    file: PathBuf,
}

pub(super) async fn run(app: &Arc<App>, output: Output, file: Option<PathBuf>) -> Result<()> {
    if file.is_none() && output.is_json() {
        return Err(Error::config(
            "an export is CSV, not JSON: name a file, or use `shop admin product list --json`",
        ));
    }
    let target = Target::new(app, file.as_deref())?;
    let to_terminal = file.is_none() && io::stdout().is_terminal();
    let bar = if to_terminal {
        // It would be mixed with the rows.
        ProgressBar::hidden()
    } else {
        progress::bar(0, "products")
    };
    let written = write_all(app, &target, &bar, to_terminal).await;
    bar.finish_and_clear();
    let products = target.finish(written)?;
    match file {
        None => Ok(()),
        Some(file) => {
            let products_written = count(products, "product");
            let summary = format!("exported {products_written} to `{}`", file.display());
            output.value(&Exported { products, file }, &summary)
        }
    }
}

/// Writes all products of one snapshot, and returns their number.
async fn write_all(
    app: &Arc<App>,
    target: &Target,
    bar: &ProgressBar,
    to_terminal: bool,
) -> Result<u64> {
    let (target, bar) = (target.clone(), bar.clone());
    app.db
        .long_read("catalog.export", move |tx| {
            let columns = catalog::export_columns(tx)?;
            let to = BufWriter::with_capacity(BUFFER_SIZE, target.open()?);
            let mut writer = CsvWriter::new(to, columns)?;
            let set_total = |total: i64| bar.set_length(total.unsigned_abs());
            let (mut products, mut last) = (0, None);
            catalog::export(tx, set_total, |row| {
                if to_terminal {
                    write_escaped(&mut writer, row)?;
                } else {
                    writer.write(row)?;
                }
                products += u64::from(last.replace(row.id) != Some(row.id));
                if products % PROGRESS_STEP == 0 {
                    bar.set_position(products);
                }
                Ok(())
            })?;
            writer.finish()?;
            Ok(products)
        })
        .await
}

/// Writes a row without characters that control a terminal.
fn write_escaped<W: Write>(writer: &mut CsvWriter<W>, row: &ExportRow<'_>) -> Result<()> {
    let options = row.options.as_slice().iter().map(|option| VariantOption {
        name: escape(&option.name).into_owned(),
        value: escape(&option.value).into_owned(),
    });
    writer.write(&ExportRow {
        name: &escape(row.name),
        description: &escape(row.description),
        category: row.category.map(escape).as_deref(),
        sku: row.sku.map(escape).as_deref(),
        barcode: row.barcode.map(escape).as_deref(),
        images: escape(&row.images).into_owned(),
        options: options.collect(),
        ..*row
    })
}

/// Where an export is written to.
#[derive(Clone)]
enum Target {
    /// Standard output, a pipe or a device. What was written to it cannot be undone.
    Stream {
        /// `None` is standard output.
        path: Option<PathBuf>,
        has_started: Arc<AtomicBool>,
    },
    /// A regular file. It is written under a temporary name, and renamed when it is complete.
    File { path: PathBuf, temporary: PathBuf },
}

impl Target {
    fn new(app: &App, file: Option<&Path>) -> Result<Target> {
        let stream = |path| Target::Stream {
            path,
            has_started: Arc::default(),
        };
        let Some(file) = file else {
            return Ok(stream(None));
        };
        let path = match fs::canonicalize(file) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
            Err(error) => return Err(cannot_write(file, error)),
        };
        if path.is_dir() {
            return Err(cannot_write(file, io::ErrorKind::IsADirectory.into()));
        }
        if path.exists() && !path.is_file() {
            return Ok(stream(Some(path)));
        }
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{}.part", app.rng.uuid(app.clock.now())));
        let temporary = PathBuf::from(temporary);
        Ok(Target::File { path, temporary })
    }

    /// Opens the target at its start.
    ///
    /// Errors: `Unavailable` for a stream that was opened before, which happens when the read is retried after a
    /// lost connection.
    fn open(&self) -> Result<Box<dyn Write + Send>> {
        match self {
            Target::Stream { has_started, .. } if has_started.swap(true, Ordering::SeqCst) => {
                Err(Error::unavailable(
                    "the connection to the database was lost during the export; try again",
                ))
            }
            Target::Stream { path: None, .. } => Ok(Box::new(io::stdout())),
            Target::Stream {
                path: Some(path), ..
            } => boxed(File::options().write(true).open(path), path),
            Target::File { temporary, .. } => {
                let mut options = open_options();
                options.write(true).create(true).truncate(true);
                boxed(options.open(temporary), temporary)
            }
        }
    }

    /// Renames the file if it is complete, or else removes it. Returns the number of products.
    fn finish(&self, written: Result<u64>) -> Result<u64> {
        match self {
            Target::Stream { .. } => match written {
                // A reader that closed the pipe early, such as `| head`, is not an error.
                Err(error) if is_broken_pipe(&error) => Ok(0),
                written => written,
            },
            Target::File { path, temporary } => {
                let result = written.and_then(|products| {
                    let sync = File::open(temporary).and_then(|file| file.sync_all());
                    sync.and_then(|()| fs::rename(temporary, path))
                        .map_err(|error| cannot_write(path, error))?;
                    Ok(products)
                });
                if result.is_err()
                    && let Err(error) = fs::remove_file(temporary)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    print_message(&format!(
                        "cannot remove the temporary file `{}`: {error}",
                        temporary.display()
                    ));
                }
                result
            }
        }
    }
}

fn boxed(opened: io::Result<File>, path: &Path) -> Result<Box<dyn Write + Send>> {
    match opened {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(cannot_write(path, error)),
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    let detail = format!("cannot write `{}`: {error}", path.display());
    Error::unavailable(detail).caused_by(error)
}

fn is_broken_pipe(error: &Error) -> bool {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
