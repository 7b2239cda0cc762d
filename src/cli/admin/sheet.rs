//! `shop admin product import` and `export`: sheets as files. A file is written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;

use crate::{
    app::App,
    cli::output::{self, Output},
    core::error::{Error, Result},
    domain::catalog::{self, Fault, Imported, Listed, Sheet, Writer},
    infra::file_modes::open_options,
};

/// `again` applies differences of stock that were imported before.
pub(super) async fn import(app: &Arc<App>, output: Output, file: &Path, again: bool) -> Result<()> {
    let text = read(file)?;
    let bar = output::progress(text.len() as u64, "reading");
    let seen = |seen| bar.set_position(seen as u64);
    let mut sheet = Sheet::read(&text, app.config.currency, seen);
    bar.finish_and_clear();
    drop(text);
    if again {
        sheet.repeat();
    }
    let sheet = Arc::new(sheet);

    let looked = Arc::clone(&sheet);
    let survey = app
        .db
        .long_read("catalog.survey", move |tx| catalog::survey(tx, &looked))
        .await?;
    refuse(file, &survey.faults)?;

    let bar = output::progress(survey.left_to_do() as u64, "writing");
    let moving = bar.clone();
    let imported = app
        .db
        .write("catalog.import", move |tx| {
            catalog::import(tx, &sheet, &survey, |done| moving.set_position(done as u64))
        })
        .await;
    bar.finish_and_clear();
    match imported? {
        Err(faults) => refuse(file, &faults),
        Ok(imported) => {
            if imported.without_images > 0 {
                output::note(&format!(
                    "{} new products have no pictures, though their lines name some: a sheet brings none",
                    imported.without_images
                ));
            }
            if imported.stock_ignored > 0 {
                output::note(&format!(
                    "{} lines have a `stockQuantity` and no `stockAtExport`: their stock is as it was",
                    imported.stock_ignored
                ));
            }
            output.one(&imported, &words(&imported))
        }
    }
}

fn words(imported: &Imported) -> String {
    let set = match imported.stock_set {
        0 => String::new(),
        set => format!("; set the stock of {set} products, whatever was sold meanwhile"),
    };
    format!(
        "made {} products, changed {}, left {} as they were; made {} categories{set}",
        imported.created, imported.updated, imported.unchanged, imported.categories
    )
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
        Error::unavailable(detail).caused_by(error)
    })
}

/// Names every bad line, if there are any, and fails.
fn refuse(file: &Path, faults: &[Fault]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<u64> = faults.iter().map(|fault| fault.line).collect();
    lines.dedup();
    for fault in faults {
        output::note(&fault.to_string());
    }
    Err(Error::unavailable(format!(
        "{} lines of `{}` are wrong, named above; nothing was changed",
        lines.len(),
        file.display()
    )))
}

/// What an export came to.
#[derive(Serialize)]
struct Exported {
    products: u64,
    file: PathBuf,
}

pub(super) async fn export(app: &Arc<App>, output: Output, file: Option<PathBuf>) -> Result<()> {
    if file.is_none() && output.is_json() {
        return Err(Error::config(
            "a sheet is not JSON: name a file for it, or use `shop admin product list --json`",
        ));
    }
    let place = Place::of(app, file.as_deref())?;
    // A bar would stand among the lines of a sheet on the same terminal.
    let on_screen = file.is_none() && io::stdout().is_terminal();
    let bar = if on_screen {
        indicatif::ProgressBar::hidden()
    } else {
        output::progress(0, "products")
    };
    let (shop, moving, to) = (Arc::clone(app), bar.clone(), place.clone());
    let written = app
        .db
        .long_read("catalog.export", move |tx| {
            let mut writer = Writer::new(BufWriter::with_capacity(1 << 16, to.open()?))?;
            let begin = |all: i64| moving.set_length(all.unsigned_abs());
            let mut products = 0;
            catalog::export(tx, &shop, begin, |product| {
                if on_screen {
                    writer.write(&Listed {
                        name: &output::escape(product.name),
                        description: &output::escape(product.description),
                        category: product.category.map(output::escape).as_deref(),
                        images: output::escape(&product.images).into_owned(),
                        ..*product
                    })?;
                } else {
                    writer.write(product)?;
                }
                products += 1;
                if products % 1000 == 0 {
                    moving.set_position(products);
                }
                Ok(())
            })?;
            writer.finish()?;
            Ok(products)
        })
        .await;
    bar.finish_and_clear();
    let products = place.settle(written)?;
    match file {
        None => Ok(()),
        Some(file) => {
            let words = format!("wrote {products} products to `{}`", file.display());
            output.one(&Exported { products, file }, &words)
        }
    }
}

/// Where a sheet goes.
#[derive(Clone)]
enum Place {
    /// Standard output, or what is there and is no file, as a pipe: what was written to it stays.
    Stream {
        path: Option<PathBuf>,
        begun: Arc<AtomicBool>,
    },
    /// A file, which takes its name once it is whole.
    File { path: PathBuf, part: PathBuf },
}

impl Place {
    fn of(app: &App, file: Option<&Path>) -> Result<Place> {
        let stream = |path| Place::Stream {
            path,
            begun: Arc::default(),
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
        let mut part = path.clone().into_os_string();
        part.push(format!(".{}.part", app.rng.uuid(app.clock.now())));
        let part = PathBuf::from(part);
        Ok(Place::File { path, part })
    }

    /// Begins to write, from the start.
    fn open(&self) -> Result<Box<dyn Write + Send>> {
        match self {
            // An engine that lost its connection runs a read again.
            Place::Stream { begun, .. } if begun.swap(true, Ordering::SeqCst) => Err(
                Error::unavailable("the database was lost on the way; export once more"),
            ),
            Place::Stream { path: None, .. } => Ok(Box::new(io::stdout())),
            Place::Stream {
                path: Some(path), ..
            } => open(File::options().write(true).open(path), path),
            Place::File { part, .. } => {
                let mut options = open_options();
                options.write(true).create(true).truncate(true);
                open(options.open(part), part)
            }
        }
    }

    /// Keeps what was written, or nothing of it.
    fn settle(&self, written: Result<u64>) -> Result<u64> {
        match self {
            Place::Stream { .. } => match written {
                // A reader that has seen enough (`| head`) is no failure.
                Err(error) if is_broken_pipe(&error) => Ok(0),
                written => written,
            },
            Place::File { path, part } => {
                let kept = written.and_then(|products| {
                    let sync = File::open(part).and_then(|file| file.sync_all());
                    sync.and_then(|()| fs::rename(part, path))
                        .map_err(|error| cannot_write(path, error))?;
                    Ok(products)
                });
                if kept.is_err()
                    && let Err(error) = fs::remove_file(part)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    output::note(&format!("`{}` stays behind: {error}", part.display()));
                }
                kept
            }
        }
    }
}

fn open(opened: io::Result<File>, path: &Path) -> Result<Box<dyn Write + Send>> {
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
