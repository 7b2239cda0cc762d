//! Checks the architecture: which module may import which, and where SQL, HTTP and transactions are allowed. It
//! reads the source text, so that every violation has a file and a line.

mod source;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use source::{File, files};
use tokens::has;

/// Every part of `src/`: its layer, and what it may import in addition to the layers below. Add a new module here
/// first.
const LAYERS: &[(&str, u8, &str)] = &[
    ("core", 0, "core"),
    (
        "infra/config infra/file_modes infra/metrics infra/traces",
        1,
        "",
    ),
    ("infra/db", 1, "infra/config infra/file_modes infra/metrics"),
    ("infra/audit infra/bus infra/jobs", 1, "infra/db"),
    ("infra/outbox", 1, "infra/db infra/jobs"),
    ("infra/ports", 1, "infra/config infra/db infra/file_modes"),
    (
        "infra/backup",
        1,
        "infra/config infra/db infra/file_modes infra/ports",
    ),
    (
        "infra/web",
        1,
        "infra/bus infra/config infra/db infra/ports",
    ),
    ("app", 2, ""),
    ("domain/accounts domain/realtime", 3, ""),
    (
        "domain/audit domain/media domain/notifications domain/payments",
        3,
        "domain/accounts",
    ),
    ("domain/catalog", 3, "domain/accounts domain/media"),
    ("domain/cart", 3, "domain/accounts domain/catalog"),
    ("domain/sign_in", 3, "domain/accounts domain/cart"),
    (
        "domain/orders",
        3,
        "domain/accounts domain/cart domain/catalog domain/payments",
    ),
    (
        "domain/settlement",
        3,
        "domain/accounts domain/cart domain/catalog domain/orders domain/payments",
    ),
    ("server worker", 4, "server worker"),
    ("cli", 4, "server worker"),
    ("lib main", 5, ""),
];

/// The owner of each table. Only the owner may have SQL on it.
const TABLES: &[(&str, &str)] = &[
    ("infra/audit", "audit unsequenced_audit"),
    ("infra/db", "events fresh_events settings timers"),
    ("infra/jobs", "jobs"),
    ("infra/ports", "mock_payments"),
    ("infra/web", "idempotency_answers"),
    (
        "domain/accounts",
        "known_networks link_tokens login_tries phone_codes sessions spent_refresh_tokens users",
    ),
    ("domain/cart", "cart_lines carts"),
    (
        "domain/catalog",
        "categories collection_products collections imported_sheets kept_counts postings price_counts product_search products search_trigrams \
         stock_movements variants",
    ),
    ("domain/media", "product_images"),
    ("domain/notifications", "outbox"),
    ("domain/orders", "order_lines orders"),
    ("domain/payments", "payment_events payments refunds"),
];

/// The exceptions: a file, and a table of another part on which it has SQL.
const FOREIGN_TABLES: &[(&str, &str)] = &[
    ("src/infra/outbox.rs", "outbox"),
    ("src/infra/db/transfer/copy.rs", "kept_counts"),
    ("src/domain/orders/store/verify.rs", "payments"),
    ("src/domain/payments/store/verify.rs", "jobs"),
    ("src/domain/notifications/store.rs", "jobs"),
    ("src/domain/media/store/mod.rs", "jobs"),
    ("src/domain/media/store/mod.rs", "products"),
    ("src/domain/cart/store.rs", "products"),
    ("src/domain/cart/store.rs", "variants"),
];

/// Code that is allowed in certain places only, and the remedy. A place is a path prefix, or the name of a file
/// (`http.rs`) or folder (`http/`) in a domain.
const PLACES: &[(&str, &str, &str)] = &[
    (
        "axum axum_extra utoipa_axum StatusCode",
        "src/infra/web src/app.rs src/server src/cli/serve.rs http",
        "move it to the domain's `http`, or use a kind of `Error`",
    ),
    (
        "db.read( db.write( db.long_read(",
        "src/app.rs src/infra/db src/infra/bus src/infra/jobs src/infra/ports/gateway/razorpay/mock src/infra/web \
         src/server src/worker src/cli src/domain/media/upload.rs http worker",
        "take a `tx`, and let `http` or `worker` open the transaction",
    ),
    (
        "db.write(",
        "src/app.rs src/infra src/server src/worker src/cli/seed src/cli/serve.rs src/cli/write.rs \
         src/domain",
        "call `cli::write`, so that the change is in the audit log",
    ),
    (
        "Kind::BadRequest( Kind::Unauthorized( Kind::Conflict( Kind::Invalid(",
        "src/core src/infra src/cli/mod.rs src/domain/catalog/import/apply.rs problems",
        "declare the problem type in the domain's `problems.rs`",
    ),
    ("todo! unimplemented!", "", "write it"),
    ("#[allow( #![allow(", "", "use `#[expect(…, reason)]`"),
];

/// Where the shared state may be imported. Everything else takes values, and settings from its transaction.
const APP_PLACES: &str = "src/server src/worker src/cli src/domain/media/upload.rs http worker";

const SQL_PLACES: &str = "src/infra/audit src/infra/db src/infra/bus.rs src/infra/jobs/store.rs src/infra/outbox.rs \
     src/infra/web/idempotency.rs src/infra/ports/gateway/razorpay/mock/store.rs src/domain/catalog/search/ \
     store";

/// The maximum number of statements that differ between the engines. Each can make their behaviour differ.
const MAX_EITHER: usize = 3;

const MAX_LINES: usize = 620;

#[test]
fn imports_go_downward_or_where_the_table_allows() {
    assert_none(&["src"], imports);
}

#[test]
fn files_of_a_domain_import_each_other_without_cycles() {
    let mut domains: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in files("src") {
        if file.part().starts_with("domain/") {
            domains.entry(file.part()).or_default().push(file);
        }
    }
    let violations: Vec<String> = domains.values().filter_map(|files| cycle(files)).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn sql_is_in_stores() {
    assert_none(&["src"], sql);
}

#[test]
fn sql_touches_the_tables_of_its_own_domain() {
    assert_none(&["src"], tables);
}

#[test]
fn http_and_transactions_are_at_the_edge() {
    assert_none(&["src"], places);
}

#[test]
fn operations_do_not_import_the_shared_state() {
    assert_none(&["src"], shared_state);
}

#[test]
fn modules_begin_with_a_doc_comment() {
    assert_none(&["src"], doc_comment);
}

#[test]
fn files_stay_short() {
    assert_none(&["src", "tests", "benches"], length);
}

#[test]
fn the_engines_share_their_statements() {
    let places: Vec<String> = files("src").iter().flat_map(either).collect();
    let (count, list) = (places.len(), places.join("\n"));
    assert!(
        count <= MAX_EITHER,
        "{count} of at most {MAX_EITHER}; write one text:\n{list}"
    );
}

#[test]
fn violations_are_detected() {
    let allowed = r#"
src/core/id.rs                 use crate::core::{money::Money, error::{self, Error}};
src/domain/cart/mod.rs         use crate::{domain::catalog::{self, Sku}, infra::db::Tx}; // crate::domain::orders
src/domain/cart/mod.rs         fn f(c: char) -> bool { c == '"' || c == '\'' }
src/domain/cart/store.rs       const A: &str = "\⏎ SELECT 1 FROM cart_lines";
src/domain/cart/store/a.rs     use super::super::Cart;
src/infra/web/idempotency.rs   const A: &str = r"DELETE FROM keys";
src/domain/orders/http.rs      use axum::Json; fn f() { app.db.write("orders.place", g) }
src/domain/orders/http/all.rs  use http::StatusCode;
src/domain/orders/problems.rs  const A: ProblemType = ProblemType::new(Kind::Conflict("cart-empty"), "", "");
src/domain/orders/http.rs      use crate::app::{App, Routes};
src/domain/orders/mod.rs       const DELETE: &str = "DELETE"; // SELECT 1, todo!()
src/cli/mod.rs                 use crate::{domain::orders, server};"#;
    let refused = r#"
src/core/money.rs              use crate::infra::db::Tx;
src/infra/db/mod.rs            use crate::{core::error::Error, infra::bus::{self, Bus}};
src/infra/web/mod.rs           fn f() { crate :: domain :: accounts :: http::routes() }
src/domain/cart/add.rs         use crate::domain::{catalog, orders};
src/domain/cart/store.rs       use super::super::orders::Order;
src/domain/orders/mod.rs       pub(in crate::server) struct A;
src/domain/orders/mod.rs       use crate::Error;
src/domain/gifts/mod.rs        struct A;
src/domain/orders/mod.rs       const A: &str = "SELECT 1";
src/domain/orders/store.rs     const A: &str = "id, name FROM⏎ products";
src/domain/cart/store.rs       const A: &str = "UPDATE users SET name = 0";
src/cli/backup.rs              const A: &str = r"⏎  VACUUM INTO ?1";
src/domain/orders/mod.rs       use axum::Json;
src/domain/catalog/socket.rs   fn f() -> axum::Response { g(b"\"") }
src/core/error.rs              use http::StatusCode;
src/cli/admin.rs               use axum::Router;
src/domain/orders/mod.rs       fn f() { app⏎.db⏎.write("orders.place", g) }
src/domain/orders/mod.rs       fn f<'a>() { todo!() }
src/domain/orders/place.rs     fn f() -> Error { Error::new(Kind::Conflict("cart-empty"), "it is empty") }
src/domain/orders/place.rs     use crate::{app::App, infra::db::Tx};
src/domain/orders/mod.rs       #![allow(dead_code)]"#;
    for (examples, expected) in [(allowed, 0), (refused, 1)] {
        for example in examples.trim().lines() {
            let (path, code) = example.split_once(' ').expect("a path, then code");
            let text = format!("//! Doc.\n{}", code.replace('⏎', "\n"));
            let file = File::new(path, text);
            let violations: Vec<String> = [
                imports,
                sql,
                tables,
                places,
                shared_state,
                doc_comment,
                length,
            ]
            .iter()
            .flat_map(|rule| rule(&file))
            .collect();
            assert_eq!(violations.len(), expected, "{example}: {violations:?}");
        }
    }
    let long = File::new("src/core/id.rs", "\n".repeat(MAX_LINES + 1));
    assert_eq!((doc_comment(&long).len(), length(&long).len()), (1, 1));
    let code = "f(Sql::either(a, b), Sql :: either (c, d))".to_owned();
    assert_eq!(either(&File::new("src/core/id.rs", code)).len(), 2);
}

#[test]
fn cycles_are_detected() {
    let domain = |store: &str| {
        [
            (
                "mod.rs",
                "mod order; mod store; pub use self::order::Order;",
            ),
            ("order.rs", "use super::store;"),
            ("store/mod.rs", store),
        ]
        .map(|(name, code)| File::new(&format!("src/domain/orders/{name}"), code.to_owned()))
    };
    assert_eq!(cycle(&domain("use crate::core::id::OrderId;")), None);
    for import in [
        "use super::order::Order;",
        "use crate::domain::orders::Order;",
    ] {
        let found = cycle(&domain(import)).expect("a cycle");
        assert!(found.contains("order -> store -> order"), "{found}");
    }
}

// The rules. Each returns the violations in one file.

fn imports(file: &File) -> Vec<String> {
    let from = file.part();
    let Some((layer, also_allowed)) = layer_of(&from) else {
        return vec![file.at(1, &format!("add `{from}` and its layer to `LAYERS`"))];
    };
    let imported: BTreeSet<(usize, String)> = file
        .imports()
        .into_iter()
        .map(|(line, path)| (line, File::part_of(&path)))
        .collect();
    let mut violations = Vec::new();
    for (line, to) in imported {
        let remedy = match layer_of(&to) {
            _ if to == from || has(also_allowed, &to) => continue,
            Some((below, _)) if below < layer => continue,
            Some(_) => "move what both need to a lower layer, or pass it in from above",
            None => "not in `LAYERS`: name the module that owns it, or enter a new one there",
        };
        violations.push(file.at(line, &format!("`{from}` imports `{to}`: {remedy}")));
    }
    violations
}

fn sql(file: &File) -> Vec<String> {
    if file.is_in(SQL_PLACES, is_domain(file)) {
        return Vec::new();
    }
    let tokens = file.tokens();
    let statements = tokens.iter().filter(|token| token.is_sql());
    statements
        .map(|token| file.at(token.line, "SQL: move it to a domain's `store`"))
        .collect()
}

fn tables(file: &File) -> Vec<String> {
    let part = file.part();
    let mut violations = Vec::new();
    for token in file.tokens() {
        for table in token.tables() {
            let owner = TABLES.iter().find(|(_, tables)| has(tables, table));
            let Some((owner, _)) = owner.filter(|(owner, _)| *owner != part) else {
                continue;
            };
            if owner.starts_with("infra") && part.starts_with("infra") {
                continue;
            }
            if !FOREIGN_TABLES.contains(&(file.path.as_str(), table)) {
                let violation = format!("`{table}` belongs to `{owner}`: call it instead");
                violations.push(file.at(token.line, &violation));
            }
        }
    }
    violations
}

fn places(file: &File) -> Vec<String> {
    let misplaced = PLACES
        .iter()
        .filter(|(_, places, _)| !file.is_in(places, is_domain(file)));
    misplaced
        .flat_map(|(codes, _, remedy)| codes.split(' ').flat_map(|code| file.find(code, remedy)))
        .collect()
}

fn shared_state(file: &File) -> Vec<String> {
    if file.is_in(APP_PLACES, is_domain(file)) {
        return Vec::new();
    }
    let imported = file.imports().into_iter();
    let imported: BTreeSet<usize> = imported
        .filter(|(_, path)| File::part_of(path) == "app")
        .map(|(line, _)| line)
        .collect();
    let remedy = "imports `app`: take values, and settings from the transaction";
    imported
        .into_iter()
        .map(|line| file.at(line, remedy))
        .collect()
}

fn doc_comment(file: &File) -> Vec<String> {
    let remedy = "begin with `//! …`: what the module is for and what it must never do";
    let missing = !file.text.trim_start().starts_with("//! ");
    missing.then(|| file.at(1, remedy)).into_iter().collect()
}

fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let remedy = format!("more than {MAX_LINES} lines: split it");
    (lines > MAX_LINES)
        .then(|| file.at(lines, &remedy))
        .into_iter()
        .collect()
}

fn either(file: &File) -> Vec<String> {
    file.find("Sql::either(", "one text for both engines, if possible")
}

/// Returns a cycle of imports between the files and folders of one domain. An import by a name that `mod.rs`
/// exports counts for the file that has it.
fn cycle(files: &[File]) -> Option<String> {
    let part = files.first()?.part();
    let exports: BTreeMap<String, String> = files
        .iter()
        .filter(|file| file.child() == "mod")
        .flat_map(File::exports)
        .collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let children: BTreeSet<String> = files.iter().map(File::child).collect();
    for file in files {
        let from = file.child();
        for (_, path) in file.imports() {
            let Some(name) = path.get(2).filter(|_| File::part_of(&path) == part) else {
                continue;
            };
            let to = match exports.get(name) {
                _ if children.contains(name) => name.clone(),
                Some(child) => child.clone(),
                None => "mod".to_owned(),
            };
            if to != from && from != "mod" {
                graph.entry(from.clone()).or_default().insert(to);
            }
        }
    }
    graph.keys().find_map(|start| {
        let mut trail = vec![start.clone()];
        find_cycle(&graph, start, start, &mut trail, &mut BTreeSet::new())
            .then(|| format!("{part}: {}", trail.join(" -> ")))
    })
}

/// Searches a path from `node` to `start`. If there is one, `trail` holds it.
fn find_cycle(
    graph: &BTreeMap<String, BTreeSet<String>>,
    start: &str,
    node: &str,
    trail: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    for next in graph.get(node).into_iter().flatten() {
        trail.push(next.clone());
        if next == start
            || (seen.insert(next.clone()) && find_cycle(graph, start, next, trail, seen))
        {
            return true;
        }
        trail.pop();
    }
    false
}

fn assert_none(folders: &[&str], rule: fn(&File) -> Vec<String>) {
    let files = folders.iter().flat_map(|folder| files(folder));
    let violations: Vec<String> = files.flat_map(|file| rule(&file)).collect();
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        violations.len(),
        violations.join("\n")
    );
}

/// Returns the layer of a part, and what it may import in addition to the layers below.
fn layer_of(part: &str) -> Option<(u8, &'static str)> {
    let row = LAYERS.iter().find(|(names, ..)| has(names, part));
    row.map(|&(_, layer, also_allowed)| (layer, also_allowed))
}

fn is_domain(file: &File) -> bool {
    file.part().starts_with("domain/")
}
