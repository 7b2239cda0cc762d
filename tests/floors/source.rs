//! A source file: its place in the module tree, its imports and its code.

use std::{fs, path::Path};

use super::tokens::{Token, paths, tokens};

/// A source file; `path` is relative to the repository.
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// Returns the Rust files below a folder of the repository.
pub(super) fn files(folder: &str) -> Vec<File> {
    let mut found = Vec::new();
    collect(Path::new(folder), &mut found);
    assert!(!found.is_empty(), "no Rust files in `{folder}`");
    found
}

fn collect(folder: &Path, found: &mut Vec<File>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(entry.path())
                .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
            found.push(File::new(&path.display().to_string(), text));
        }
    }
}

impl File {
    pub(super) fn new(path: &str, text: String) -> Self {
        let path = path.to_owned();
        Self { path, text }
    }

    /// Formats a violation with its file and line.
    pub(super) fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The components of the path below `src`: `["domain", "orders", "http", "admin"]`.
    fn components(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs");
        path.split('/').skip(1).map(str::to_owned).collect()
    }

    /// The part of the program to which the file belongs: `domain/orders`, `server`.
    pub(super) fn part(&self) -> String {
        Self::part_of(&self.components())
    }

    /// The part of a path. In `infra` and `domain`, each folder is a part.
    pub(super) fn part_of(path: &[String]) -> String {
        let depth = match path.first().map(String::as_str) {
            Some("infra" | "domain") => 2,
            _ => 1,
        };
        match path.get(..depth) {
            Some(part) if part.last().is_some_and(|name| name != "mod") => part.join("/"),
            _ => "lib".to_owned(),
        }
    }

    /// The file or folder within a domain to which this file belongs: `store`, `place`, `mod`.
    pub(super) fn child(&self) -> String {
        self.components().get(2).cloned().unwrap_or_default()
    }

    /// Returns whether the file is below one of these paths or, in a domain, in a file or folder of that name.
    pub(super) fn is_in(&self, places: &str, is_domain: bool) -> bool {
        let components = self.components();
        let layers = components.get(2..).unwrap_or_default();
        places.split(' ').any(|place| {
            let path = place.contains('/') && self.path.starts_with(place);
            path || (is_domain && layers.iter().any(|layer| layer == place))
        })
    }

    pub(super) fn tokens(&self) -> Vec<Token<'_>> {
        tokens(&self.text)
    }

    /// Finds this code, whatever its formatting.
    pub(super) fn find(&self, code: &str, remedy: &str) -> Vec<String> {
        let row = tokens(code);
        let may_match = row.iter().all(|part| self.text.contains(part.text)); // saves the parsing
        let text = if may_match { self.tokens() } else { Vec::new() };
        let same = |hit: &&[Token<'_>]| hit.iter().zip(&row).all(|(a, b)| a.text == b.text);
        let hits = text.windows(row.len()).filter(same);
        hits.map(|hit| self.at(hit[0].line, &format!("`{code}`: {remedy}")))
            .collect()
    }

    /// The module path of the file. `mod.rs` has the path of its folder.
    fn module(&self) -> Vec<String> {
        let mut components = self.components();
        if components.last().is_some_and(|last| last == "mod") {
            components.pop();
        }
        components
    }

    /// Returns each path that begins with `crate`, `self` or `super`, resolved from the crate root, with its line.
    pub(super) fn imports(&self) -> Vec<(usize, Vec<String>)> {
        let tokens = self.tokens();
        let mut found = Vec::new();
        for at in 0..tokens.len() {
            let is_start = at < 2 || tokens[at - 1].text != ":";
            if !is_start || !["crate", "self", "super"].contains(&tokens[at].text) {
                continue;
            }
            let start = if tokens[at].text == "crate" {
                Vec::new()
            } else {
                self.module()
            };
            for (line, path) in paths(&tokens[at..]) {
                let supers = path.iter().take_while(|name| **name == "super").count();
                let base = &start[..start.len().saturating_sub(supers)];
                let rest = path
                    .iter()
                    .filter(|name| !["crate", "self", "super"].contains(*name));
                let full_path: Vec<String> = base
                    .iter()
                    .cloned()
                    .chain(rest.map(ToString::to_string))
                    .collect();
                if path.len() > 1 {
                    found.push((line, full_path));
                }
            }
        }
        found
    }

    /// Returns what a `mod.rs` re-exports from its children: the name and the child.
    pub(super) fn exports(&self) -> Vec<(String, String)> {
        let depth = self.module().len();
        let exported = self
            .imports()
            .into_iter()
            .filter(|(_, path)| path.len() > depth + 1);
        exported
            .filter_map(|(_, path)| Some((path.last()?.clone(), path[depth].clone())))
            .collect()
    }
}
