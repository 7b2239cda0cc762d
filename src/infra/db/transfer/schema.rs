//! The tables to copy, in an order that satisfies their foreign keys.

use crate::{
    core::error::{Error, Result},
    infra::db::migrate,
};

pub(super) struct Table {
    pub name: String,
    pub columns: Vec<String>,
    /// The columns of the primary key.
    pub key: Vec<String>,
}

/// The names of the tables that are copied. The others are the migration history, unsequenced events and audit entries
/// (there are none once all have numbers), and search indexes and counts that triggers or the next start rebuild.
pub(in crate::infra::db) const TABLES: &str = "SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    AND name NOT IN ('refinery_schema_history', 'fresh_events', 'unsequenced_audit', 'product_search',
                     'search_trigrams', 'search_words', 'postings', 'price_counts')
    AND name NOT LIKE 'product_fts%' ORDER BY name";

/// Returns the tables of this version of the schema, read from a migrated in-memory database; parents before
/// children.
pub(super) fn tables(version: u32) -> Result<Vec<Table>> {
    let schema = migrate::in_memory(version)?;
    let texts = |sql: &str, table: &str| -> Result<Vec<String>> {
        let mut statement = schema.prepare(sql).map_err(Error::internal)?;
        let rows = statement
            .query_map([table], |row| row.get(0))
            .map_err(Error::internal)?;
        rows.collect::<Result<_, _>>().map_err(Error::internal)
    };
    let names = texts(&format!("SELECT name FROM ({TABLES}) WHERE ?1 = ''"), "")?;
    let mut remaining = Vec::new();
    for name in names {
        let columns = texts("SELECT name FROM pragma_table_info(?1) ORDER BY cid", &name)?;
        let key = texts(
            "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk",
            &name,
        )?;
        let parents = texts(
            "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)",
            &name,
        )?;
        remaining.push((Table { name, columns, key }, parents));
    }
    let mut ordered: Vec<Table> = Vec::new();
    while !remaining.is_empty() {
        let next = remaining.iter().position(|(table, parents)| {
            parents.iter().all(|parent| {
                *parent == table.name || ordered.iter().any(|before| before.name == *parent)
            })
        });
        let next = next.ok_or_else(|| Error::internal("the foreign keys form a cycle"))?;
        ordered.push(remaining.remove(next).0);
    }
    Ok(ordered)
}
