//! The schema that the migrations make, walked on each engine and told in the same words.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Engine, RawDb, TestStore};

/// What a column holds; how an engine calls it is its own business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Text,
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
    required: bool,
    default: Option<String>,
}

/// An index, also one that stands for a constraint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Index {
    columns: Vec<String>,
    unique: bool,
    partial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    column: String,
    table: String,
    to: String,
    /// What becomes of the row if that one is changed or deleted.
    then: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    columns: Vec<Column>,
    primary_key: Vec<String>,
    /// Beside the primary key's.
    indexes: Vec<Index>,
    references: BTreeSet<Reference>,
}

/// The migrations' own table is refinery's.
const REFINERY: &str = "refinery_schema_history";

fn walk(raw: &RawDb) -> BTreeMap<String, Table> {
    let names = raw.tables().into_iter().filter(|name| name != REFINERY);
    names
        .map(|name| {
            let table = Table {
                columns: columns(raw, &name),
                primary_key: primary_key(raw, &name),
                indexes: indexes(raw, &name),
                references: references(raw, &name),
            };
            (name, table)
        })
        .collect()
}

/// The rows of the engine's own question, every cell of which must be there.
fn rows(raw: &RawDb, sqlite: &str, postgres: &str) -> Vec<Vec<String>> {
    let rows = raw.rows(match raw {
        RawDb::Sqlite(_) => sqlite,
        RawDb::Postgres(_) => postgres,
    });
    let whole = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap).collect();
    rows.into_iter().map(whole).collect()
}

fn columns(raw: &RawDb, table: &str) -> Vec<Column> {
    let sqlite = format!(
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, coalesce(dflt_value, '')
         FROM pragma_table_info('{table}') ORDER BY cid"
    );
    let postgres = format!(
        "SELECT column_name, data_type, (is_nullable = 'NO')::int,
                (column_default IS NOT NULL)::int,
                coalesce(regexp_replace(column_default, '::[a-z]+$', ''), '')
         FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
    );
    let column = |row: Vec<String>| {
        let [name, kind, required, has_default, default] = <[String; 5]>::try_from(row).unwrap();
        Column {
            kind: match kind.as_str() {
                "INTEGER" | "bigint" => Kind::Integer,
                "TEXT" | "text" => Kind::Text,
                "BLOB" | "uuid" | "bytea" => Kind::Bytes,
                other => panic!("{table}.{name} is of an unknown type, {other}"),
            },
            name,
            required: required == "1",
            default: (has_default == "1").then_some(default),
        }
    };
    let rows = rows(raw, &sqlite, &postgres);
    rows.into_iter().map(column).collect()
}

fn primary_key(raw: &RawDb, table: &str) -> Vec<String> {
    let sqlite = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk");
    let postgres = format!(
        "SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS key (number, place)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.number
         WHERE i.indrelid = '{table}'::regclass AND i.indisprimary
         ORDER BY key.place"
    );
    rows(raw, &sqlite, &postgres).concat()
}

/// In order. Partial indexes of one column differ in their conditions, which each engine writes its own way.
fn indexes(raw: &RawDb, table: &str) -> Vec<Index> {
    let sqlite = format!(
        "SELECT group_concat(c.name, ' ' ORDER BY c.seqno), i.\"unique\", i.partial
         FROM pragma_index_list('{table}') i, pragma_index_info(i.name) c
         WHERE i.origin <> 'pk' GROUP BY i.name, i.\"unique\", i.partial"
    );
    let postgres = format!(
        "SELECT string_agg(a.attname, ' ' ORDER BY key.place), i.indisunique::int,
                (i.indpred IS NOT NULL)::int
         FROM pg_index i CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS key (number, place)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.number
         WHERE i.indrelid = '{table}'::regclass AND NOT i.indisprimary
         GROUP BY i.indexrelid, i.indisunique, i.indpred"
    );
    let index = |row: Vec<String>| Index {
        columns: row[0].split(' ').map(str::to_owned).collect(),
        unique: row[1] == "1",
        partial: row[2] == "1",
    };
    let mut found: Vec<_> = rows(raw, &sqlite, &postgres)
        .into_iter()
        .map(index)
        .collect();
    found.sort();
    let is_repeated = |pair: &[Index]| pair[0] == pair[1] && !pair[0].partial;
    assert!(
        !found.windows(2).any(is_repeated),
        "{table} has an index twice"
    );
    found
}

fn references(raw: &RawDb, table: &str) -> BTreeSet<Reference> {
    let sqlite = format!(
        "SELECT \"from\", \"table\", \"to\", on_update || ', ' || on_delete
         FROM pragma_foreign_key_list('{table}')"
    );
    let action = |column: &str| {
        format!(
            "CASE {column} WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
                 WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END"
        )
    };
    let postgres = format!(
        "SELECT own.attname, c.confrelid::regclass, other.attname, {} || ', ' || {}
         FROM pg_constraint c, unnest(c.conkey, c.confkey) AS pair (own, other),
              pg_attribute own, pg_attribute other
         WHERE c.contype = 'f' AND c.conrelid = '{table}'::regclass
             AND own.attrelid = c.conrelid AND own.attnum = pair.own
             AND other.attrelid = c.confrelid AND other.attnum = pair.other",
        action("c.confupdtype"),
        action("c.confdeltype")
    );
    let found = rows(raw, &sqlite, &postgres).into_iter();
    found
        .map(|row| {
            let [column, table, to, then] = <[String; 4]>::try_from(row).unwrap();
            Reference {
                column,
                table,
                to,
                then,
            }
        })
        .collect()
}

/// A fresh store on each engine; none where one of them is not to be had.
async fn both() -> Option<(TestStore, TestStore)> {
    let sqlite = TestStore::on(Engine::Sqlite).await.unwrap();
    Some((sqlite, TestStore::on(Engine::Postgres).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schemas_have_one_shape() {
    let Some((sqlite, postgres)) = both().await else {
        return;
    };
    let (sqlite, postgres) = (walk(&sqlite.raw_db()), walk(&postgres.raw_db()));
    for (name, table) in &sqlite {
        assert_eq!(Some(table), postgres.get(name), "{name}");
    }
    assert!(sqlite.keys().eq(postgres.keys()));

    // What is walked is there at all.
    let orders = &sqlite["orders"];
    assert_eq!(orders.primary_key, ["id"]);
    assert_eq!(orders.columns[2].name, "user_id");
    assert_eq!(orders.columns[2].kind, Kind::Bytes);
    let ties: Vec<_> = orders.references.iter().collect();
    assert_eq!(
        (ties[0].column.as_str(), ties[0].table.as_str()),
        ("user_id", "users")
    );
    let by_number = orders
        .indexes
        .iter()
        .find(|index| index.columns == ["number"]);
    assert!(by_number.is_some_and(|index| index.unique && !index.partial));
    let transactions = sqlite["payments"]
        .indexes
        .iter()
        .filter(|index| index.partial && index.unique);
    assert_eq!(transactions.count(), 1);
}

/// Each makes the schemas differ in one thing that the walk must tell.
const CHANGES: &[&str] = &[
    "CREATE TABLE gifts (id BIGINT)",
    "ALTER TABLE users ADD COLUMN nick TEXT",
    "ALTER TABLE users ALTER COLUMN nick SET NOT NULL",
    "ALTER TABLE users ALTER COLUMN nick SET DEFAULT ''",
    "ALTER TABLE users ALTER COLUMN created_at TYPE TEXT",
    "ALTER TABLE users RENAME COLUMN name TO title",
    "ALTER TABLE users DROP CONSTRAINT users_email_key_key",
    "CREATE UNIQUE INDEX some_emails ON users (email_key) WHERE phone IS NULL",
    "CREATE INDEX by_role ON users (role, id)",
    "ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey",
    "ALTER TABLE sessions ADD FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE",
    "ALTER TABLE kept_counts DROP CONSTRAINT kept_counts_pkey",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walk_sees_a_difference() {
    let Some(store) = TestStore::on(Engine::Postgres).await else {
        return;
    };
    let raw = store.raw_db();
    let mut seen = walk(&raw);
    for change in CHANGES {
        raw.run(change);
        let changed = walk(&raw);
        assert_ne!(seen, changed, "{change}");
        seen = changed;
    }
}

/// Every comparison of texts is one of bytes, in tables and in indexes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_compared_by_their_bytes() {
    let Some((sqlite, postgres)) = both().await else {
        return;
    };
    let by_language = "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
         WHERE c.table_schema = 'public' AND c.data_type IN ('text', 'character varying', 'name')
             AND c.table_name <> 'refinery_schema_history' AND c.collation_name IS DISTINCT FROM 'C'";
    assert_eq!(postgres.raw_db().rows(by_language).concat(), []);
    let index_by_language = "SELECT c.relname || '.' || a.attname FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attcollation <> 0
         JOIN pg_collation l ON l.oid = a.attcollation AND l.collname <> 'C'
         WHERE c.relkind = 'i' AND c.relname NOT LIKE 'refinery%'";
    assert_eq!(postgres.raw_db().rows(index_by_language).concat(), []);

    let otherwise =
        "SELECT s.name || '.' || c.name FROM sqlite_schema s, pragma_index_xinfo(s.name) c
         WHERE s.type = 'index' AND c.coll <> 'BINARY'";
    assert_eq!(sqlite.raw_db().rows(otherwise).concat(), []);
}
