//! Checks that `docs/guarantees.md` names tests that exist, and at least one for each guarantee.

use std::{collections::BTreeSet, fs, path::Path};

const DOCUMENT: &str = include_str!("../docs/guarantees.md");

/// Adds every function below `folder` as `module::function`, where `module` is the path of its module.
fn collect(folder: &Path, module: &str, functions: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let inner = match (module, stem) {
            (_, "mod") => module.to_owned(),
            ("", _) => stem.to_owned(),
            _ => format!("{module}::{stem}"),
        };
        if path.is_dir() {
            collect(&path, &inner, functions);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            functions.extend(names(&text).map(|name| format!("{inner}::{name}")));
        }
    }
}

/// The names of the functions that a file defines.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        let (name, _) = line.strip_prefix("fn ")?.split_once('(')?;
        Some(name)
    })
}

/// The paths of tests in a text: what is in backticks and contains `::`.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.contains("::"))
}

#[test]
fn every_documented_test_exists() {
    let mut functions = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    collect(&folder, "", &mut functions);
    let missing: Vec<&str> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(paths)
        .filter(|path| !functions.contains(*path))
        .collect();
    assert!(
        missing.is_empty(),
        "renamed or gone, but still in docs/guarantees.md:\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_guarantee_names_a_test() {
    let rows = DOCUMENT.lines().filter(|line| {
        line.starts_with("| ") && !line.starts_with("| guarantee") && !line.starts_with("|---")
    });
    let without: Vec<&str> = rows.filter(|row| paths(row).next().is_none()).collect();
    assert!(without.is_empty(), "{}", without.join("\n"));
}
