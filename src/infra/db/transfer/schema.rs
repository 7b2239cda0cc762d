//! What there is to move, in an order in which no row comes before one that it names.

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

/// Not moved: what the migrations keep of themselves, what is empty once all events have their
/// numbers, and what triggers or the next start make of the products again.
const OTHERS: &str = "name NOT IN ('refinery_schema_history', 'fresh_events', 'product_search',
    'search_trigrams', 'search_words', 'postings', 'price_counts')
    AND name NOT LIKE 'product_fts%'";

/// The tables of this program's schema, as a database in memory shows them.
pub(super) fn tables() -> Result<Vec<Table>> {
    let schema = migrate::in_memory()?;
    let texts = |sql: &str, table: &str| -> Result<Vec<String>> {
        let mut statement = schema.prepare(sql).map_err(Error::internal)?;
        let rows = statement
            .query_map([table], |row| row.get(0))
            .map_err(Error::internal)?;
        rows.collect::<Result<_, _>>().map_err(Error::internal)
    };
    let names = texts(
        &format!(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
             AND {OTHERS} AND ?1 = '' ORDER BY name"
        ),
        "",
    )?;
    let mut waiting = Vec::new();
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
        waiting.push((Table { name, columns, key }, parents));
    }
    let mut ordered: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let free = waiting.iter().position(|(table, parents)| {
            parents.iter().all(|parent| {
                *parent == table.name || ordered.iter().any(|before| before.name == *parent)
            })
        });
        let free = free.ok_or_else(|| Error::internal("tables name each other in a circle"))?;
        ordered.push(waiting.remove(free).0);
    }
    Ok(ordered)
}
