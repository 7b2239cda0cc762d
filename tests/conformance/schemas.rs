//! Compares the schemas of both engines after all migrations, in a common description.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Engine, RawDb, TestStore};

/// The type of a column, regardless of its name in each engine.
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

/// An index, including those of constraints.
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
    /// The actions on update and on delete.
    actions: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    columns: Vec<Column>,
    primary_key: Vec<String>,
    /// All but that of the primary key.
    indexes: Vec<Index>,
    references: BTreeSet<Reference>,
}

/// The table in which refinery records the migrations.
const REFINERY: &str = "refinery_schema_history";

/// Reads the description of every table.
fn read_schema(raw: &RawDb) -> BTreeMap<String, Table> {
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

/// Runs the query for the engine. No column may be NULL.
fn rows(raw: &RawDb, sqlite: &str, postgres: &str) -> Vec<Vec<String>> {
    let rows = raw.rows(match raw {
        RawDb::Sqlite(_) => sqlite,
        RawDb::Postgres(_) => postgres,
    });
    let non_null = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap).collect();
    rows.into_iter().map(non_null).collect()
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
        "SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS key (number, position)
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.number
         WHERE i.indrelid = '{table}'::regclass AND i.indisprimary
         ORDER BY key.position"
    );
    rows(raw, &sqlite, &postgres).concat()
}

/// Returns the indexes in order, without their conditions: each engine formats those differently.
fn indexes(raw: &RawDb, table: &str) -> Vec<Index> {
    let sqlite = format!(
        "SELECT group_concat(c.name, ' ' ORDER BY c.seqno), i.\"unique\", i.partial
         FROM pragma_index_list('{table}') i, pragma_index_info(i.name) c
         WHERE i.origin <> 'pk' GROUP BY i.name, i.\"unique\", i.partial"
    );
    let postgres = format!(
        "SELECT string_agg(a.attname, ' ' ORDER BY key.position), i.indisunique::int,
                (i.indpred IS NOT NULL)::int
         FROM pg_index i CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS key (number, position)
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
            let [column, table, to, actions] = <[String; 4]>::try_from(row).unwrap();
            Reference {
                column,
                table,
                to,
                actions,
            }
        })
        .collect()
}

/// Opens an empty store on each engine. Returns `None` if one is unavailable.
async fn both() -> Option<(TestStore, TestStore)> {
    let sqlite = TestStore::on(Engine::Sqlite).await.unwrap();
    Some((sqlite, TestStore::on(Engine::Postgres).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_have_the_same_schema() {
    let Some((sqlite, postgres)) = both().await else {
        return;
    };
    let (sqlite, postgres) = (
        read_schema(&sqlite.raw_db()),
        read_schema(&postgres.raw_db()),
    );
    for (name, table) in &sqlite {
        assert_eq!(Some(table), postgres.get(name), "{name}");
    }
    assert!(sqlite.keys().eq(postgres.keys()));

    // Some samples prove that the descriptions are not empty.
    let orders = &sqlite["orders"];
    assert_eq!(orders.primary_key, ["id"]);
    assert_eq!(orders.columns[2].name, "user_id");
    assert_eq!(orders.columns[2].kind, Kind::Bytes);
    let references: Vec<_> = orders.references.iter().collect();
    assert_eq!(
        (references[0].column.as_str(), references[0].table.as_str()),
        ("user_id", "users")
    );
    let by_number = orders
        .indexes
        .iter()
        .find(|index| index.columns == ["number"]);
    assert!(by_number.is_some_and(|index| index.unique && !index.partial));
    for (table, count) in [("payments", 1), ("payment_events", 2)] {
        let conditional = sqlite[table]
            .indexes
            .iter()
            .filter(|index| index.partial && index.unique);
        assert_eq!(conditional.count(), count, "{table}");
    }
}

/// Changes of the schema, each of which the description must show.
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
async fn every_schema_change_is_detected() {
    let Some(store) = TestStore::on(Engine::Postgres).await else {
        return;
    };
    let raw = store.raw_db();
    let mut schema = read_schema(&raw);
    for change in CHANGES {
        raw.run(change);
        let changed = read_schema(&raw);
        assert_ne!(schema, changed, "{change}");
        schema = changed;
    }
}

/// Text columns and indexes use the binary collation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_compared_bytewise() {
    let Some((sqlite, postgres)) = both().await else {
        return;
    };
    let columns = "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
         WHERE c.table_schema = 'public' AND c.data_type IN ('text', 'character varying', 'name')
             AND c.table_name <> 'refinery_schema_history' AND c.collation_name IS DISTINCT FROM 'C'";
    assert_eq!(postgres.raw_db().rows(columns).concat(), []);
    let indexes = "SELECT c.relname || '.' || a.attname FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attcollation <> 0
         JOIN pg_collation l ON l.oid = a.attcollation AND l.collname <> 'C'
         WHERE c.relkind = 'i' AND c.relname NOT LIKE 'refinery%'";
    assert_eq!(postgres.raw_db().rows(indexes).concat(), []);

    let indexes =
        "SELECT s.name || '.' || c.name FROM sqlite_schema s, pragma_index_xinfo(s.name) c
         WHERE s.type = 'index' AND c.coll <> 'BINARY'";
    assert_eq!(sqlite.raw_db().rows(indexes).concat(), []);
}
