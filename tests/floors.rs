//! Holds the source to the floors of the house: who may import whom, and where SQL, HTTP and
//! transactions may stand. It reads text, never types, so that a breach is named by file and line.

mod tokens;

use std::{fs, path::Path};

use tokens::{Token, has, heads, tokens};

/// Every module at the crate's root, its floor, and what it may import beside the floors beneath.
/// The words on floor 0 may import each other. A new module is entered here first. (`args` is a
/// macro of `db`; Rust puts it at the root.)
const HOUSE: &[(&str, u8, &str)] = &[
    (
        "error id money clock page event finding job config text",
        0,
        "",
    ),
    ("args", 1, ""),
    ("file_modes", 1, ""),
    ("db", 1, "args file_modes"),
    ("bus", 1, "args db"),
    ("ports", 1, "args db file_modes"),
    ("web", 1, "args db bus ports"),
    ("accounts realtime", 2, ""),
    ("mail media payments", 2, "accounts"),
    ("catalog", 2, "accounts media"),
    ("cart", 2, "accounts catalog"),
    ("orders", 2, "accounts catalog cart payments"),
    ("server worker", 3, ""),
    ("cli", 3, "server worker"),
    ("lib main", 4, ""),
];

/// What stands only in certain places, and the remedy. A place is the beginning of a path, or the
/// name that a domain gives to a file (`http.rs`) or to a folder (`http/`).
const PLACES: &[(&str, &str, &str)] = &[
    (
        "axum axum_extra utoipa_axum StatusCode",
        "src/web src/server src/cli/serve.rs src/realtime/socket.rs http",
        "move it to the domain's `http.rs`, or say it by a kind of `Error`",
    ),
    (
        "db.read( db.write( db.scan(",
        "src/db src/bus src/ports/gateway/mock.rs src/web src/server src/worker src/cli \
         src/realtime/socket.rs http worker",
        "take a `tx`, and let `http.rs` or `worker.rs` open the transaction",
    ),
    ("todo! unimplemented!", "", "write it"),
    ("#[allow( #![allow(", "", "use `#[expect(…, reason)]`"),
];

const SQL_PLACES: &str =
    "src/db src/bus.rs src/web/idempotency.rs src/ports/gateway/store.rs store";

/// Statements that differ between the engines; each is a place where the two can drift apart.
const MOST_EITHER: usize = 6;

const MOST_LINES: usize = 700;

#[test]
fn imports_go_downward_or_where_the_table_allows() {
    assert_house(&["src"], imports);
}

#[test]
fn sql_stands_in_stores() {
    assert_house(&["src"], sql);
}

#[test]
fn http_and_transactions_stand_at_the_edge() {
    assert_house(&["src"], places);
}

#[test]
fn modules_open_with_a_sentence() {
    assert_house(&["src"], sentence);
}

#[test]
fn files_stay_short() {
    assert_house(&["src", "tests", "benches"], length);
}

#[test]
fn the_engines_share_their_statements() {
    let places: Vec<String> = files("src").iter().flat_map(either).collect();
    let (count, list) = (places.len(), places.join("\n"));
    assert!(
        count <= MOST_EITHER,
        "{count} of at most {MOST_EITHER}; write one text:\n{list}"
    );
}

#[test]
fn a_breach_is_caught() {
    let allowed = r#"
src/id.rs               use crate::{money::Money, error::{self, Error}};
src/cart/mod.rs         use crate::{catalog::{self, Sku}, db::Tx}; // crate::orders
src/cart/mod.rs         mod t { use super::*; } fn f(c: char) -> bool { c == '"' || c == '\'' }
src/cart/store.rs       const A: &str = "\⏎ SELECT 1";
src/web/idempotency.rs  const A: &str = r"DELETE FROM keys";
src/orders/http.rs      use axum::Json; fn f() { app.db.write("orders.place", g) }
src/orders/http/all.rs  use http::StatusCode;
src/orders/mod.rs       const DELETE: &str = "DELETE"; // SELECT 1, todo!()
src/cli/mod.rs          use crate::{orders, server};"#;
    let refused = r#"
src/money.rs            use crate::db::Tx;
src/db/mod.rs           use crate::{error::Error, bus::{self, Bus}};
src/web/mod.rs          fn f() { crate :: accounts :: http::routes() }
src/cart/mod.rs         #[cfg(test)] mod t { use crate::{catalog, orders}; }
src/cart/store.rs       use super::super::orders::Order;
src/orders/mod.rs       pub(in crate::server) struct A;
src/orders/mod.rs       use crate::Error;
src/gifts/mod.rs        struct A;
src/orders/mod.rs       const A: &str = "SELECT 1";
src/cli/backup.rs       const A: &str = r"⏎  VACUUM INTO ?1";
src/orders/mod.rs       use axum::Json;
src/catalog/socket.rs   fn f() -> axum::Response { g(b"\"") }
src/error.rs            use http::StatusCode;
src/cli/admin.rs        use axum::Router;
src/orders/mod.rs       fn f() { app⏎.db⏎.write("orders.place", g) }
src/orders/mod.rs       fn f<'a>() { todo!() }
src/orders/mod.rs       #![allow(dead_code)]"#;
    for (examples, expected) in [(allowed, 0), (refused, 1)] {
        for example in examples.trim().lines() {
            let (path, code) = example.split_once(' ').expect("a path, then code");
            let text = format!("//! Doc.\n{}", code.replace('⏎', "\n"));
            let file = File::new(path, text);
            let breaches: Vec<String> = [imports, sql, places, sentence, length]
                .iter()
                .flat_map(|r| r(&file))
                .collect();
            assert_eq!(breaches.len(), expected, "{example}: {breaches:?}");
        }
    }
    let long = File::new("src/id.rs", "\n".repeat(MOST_LINES + 1));
    assert_eq!((sentence(&long).len(), length(&long).len()), (1, 1));
    let code = "f(Sql::either(a, b), Sql :: either (c, d))".to_owned();
    assert_eq!(either(&File::new("src/id.rs", code)).len(), 2);
}

// The rules: each names the breaches of one file.

fn imports(file: &File) -> Vec<String> {
    let from = file.module();
    let Some((floor, beside)) = room(from) else {
        return vec![file.at(1, &format!("add `{from}` and its floor to `HOUSE`"))];
    };
    let mut breaches = Vec::new();
    for Token { line, text: to } in file.imported() {
        let remedy = match room(to) {
            _ if to == from || has(beside, to) => continue,
            Some((below, _)) if below < floor || floor + below == 0 => continue,
            Some(_) => "move what both need to a floor beneath, or hand it in from above",
            None => "no module of `HOUSE`: name the module that owns it, or enter a new one there",
        };
        breaches.push(file.at(line, &format!("`{from}` imports `{to}`: {remedy}")));
    }
    breaches
}

fn sql(file: &File) -> Vec<String> {
    let tokens = if file.stands_in(SQL_PLACES) {
        Vec::new()
    } else {
        file.tokens()
    };
    let statements = tokens.iter().filter(|token| token.is_sql());
    statements
        .map(|token| file.at(token.line, "SQL: move it to a domain's `store.rs`"))
        .collect()
}

fn places(file: &File) -> Vec<String> {
    let misplaced = PLACES
        .iter()
        .filter(|(_, places, _)| !file.stands_in(places));
    misplaced
        .flat_map(|(codes, _, remedy)| codes.split(' ').flat_map(|code| file.find(code, remedy)))
        .collect()
}

fn sentence(file: &File) -> Vec<String> {
    let remedy = "open with `//! …`: what the module is for and what it must never do";
    let missing = !file.text.trim_start().starts_with("//! ");
    missing.then(|| file.at(1, remedy)).into_iter().collect()
}

fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let remedy = format!("past {MOST_LINES} lines: split it at a seam");
    (lines > MOST_LINES)
        .then(|| file.at(lines, &remedy))
        .into_iter()
        .collect()
}

fn either(file: &File) -> Vec<String> {
    file.find("Sql::either(", "one text for both engines, if it can be")
}

fn assert_house(folders: &[&str], rule: fn(&File) -> Vec<String>) {
    let files = folders.iter().flat_map(|folder| files(folder));
    let breaches: Vec<String> = files.flat_map(|file| rule(&file)).collect();
    assert!(
        breaches.is_empty(),
        "{} breaches:\n{}",
        breaches.len(),
        breaches.join("\n")
    );
}

/// The floor of a module, and what it may import beside the floors beneath.
fn room(module: &str) -> Option<(u8, &'static str)> {
    let row = HOUSE.iter().find(|(names, ..)| has(names, module));
    row.map(|&(_, floor, beside)| (floor, beside))
}

// The reading of files.

/// The Rust files beneath a folder of the repository; only `benches` may hold none.
fn files(folder: &str) -> Vec<File> {
    let mut found = Vec::new();
    collect(Path::new(folder), &mut found);
    assert!(
        !found.is_empty() || folder == "benches",
        "no Rust files in `{folder}`"
    );
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

/// A source file; `path` is relative to the repository.
struct File {
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let path = path.to_owned();
        Self { path, text }
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The steps of the path below `src`: `["orders", "http", "admin"]`.
    fn steps(&self) -> Vec<&str> {
        self.path
            .trim_end_matches(".rs")
            .split('/')
            .skip(1)
            .collect()
    }

    /// The module at the crate's root that this file belongs to.
    fn module(&self) -> &str {
        self.steps()[0]
    }

    fn stands_in(&self, places: &str) -> bool {
        let domain = room(self.module()).is_some_and(|(floor, _)| floor == 2);
        let layers = &self.steps()[1..];
        places.split(' ').any(|place| {
            let path = place.contains('/') && self.path.starts_with(place);
            path || (domain && layers.contains(&place))
        })
    }

    fn tokens(&self) -> Vec<Token<'_>> {
        tokens(&self.text)
    }

    /// Where this code stands, however it is laid out.
    fn find(&self, code: &str, remedy: &str) -> Vec<String> {
        let row = tokens(code);
        let may_hit = row.iter().all(|part| self.text.contains(part.text)); // spares the cutting
        let text = if may_hit { self.tokens() } else { Vec::new() };
        let same = |hit: &&[Token<'_>]| hit.iter().zip(&row).all(|(a, b)| a.text == b.text);
        let hits = text.windows(row.len()).filter(same);
        hits.map(|hit| self.at(hit[0].line, &format!("`{code}`: {remedy}")))
            .collect()
    }

    /// The first names after `crate::`, and after as many `super::` as lead to the crate's root.
    fn imported(&self) -> Vec<Token<'_>> {
        let depth = self.steps().iter().filter(|step| **step != "mod").count();
        let (mut found, mut supers) = (Vec::new(), 0);
        let tokens = self.tokens();
        for (at, step) in tokens.windows(4).enumerate() {
            match step[0].text {
                "crate" | "super" if step[1].text != ":" || step[2].text != ":" => {}
                "crate" => found.extend(heads(&tokens[at + 3..])),
                "super" => {
                    supers += 1;
                    // an inline module's `super` is its own file: only known names count
                    let known = |head: &Token<'_>| supers >= depth && room(head.text).is_some();
                    found.extend(heads(&tokens[at + 3..]).into_iter().filter(known));
                }
                ":" => {}
                _ => supers = 0,
            }
        }
        found
    }
}
