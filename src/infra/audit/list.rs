//! Lists the audit log, newest first.

use std::fmt::Write;

use uuid::Uuid;

use super::entry::{CONTENT, Entry, entry};
use crate::{
    core::{
        audit::Action,
        clock::Timestamp,
        error::Result,
        id::UserId,
        pagination::{CursorPage, CursorRequest, Page, PageRequest, Position, SortKey, Total},
    },
    infra::db::{Tx, Value},
};

/// Selects actors or targets: all of a type, or one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    Type(String),
    Id(String),
}

impl Selector {
    /// Parses the name of a type, which consists of letters, or an id.
    pub fn parse(text: &str) -> Option<Selector> {
        // The ids of all resources have the same format.
        if let Ok(id) = text.parse::<UserId>() {
            return Some(Selector::Id(id.to_string()));
        }
        let is_type = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_type.then(|| Selector::Type(text.to_owned()))
    }
}

/// An entry must match every filter that is set.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    pub actor: Option<Selector>,
    pub action: Option<Action>,
    pub target: Option<Selector>,
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
}

impl Filters {
    /// Returns a text that is equal for equal filters. A cursor is valid only within its scope.
    pub fn scope(&self) -> String {
        format!("audit {self:?}")
    }
}

/// Returns the entries after a cursor that match.
pub fn list(
    tx: &mut Tx<'_>,
    filters: &Filters,
    request: &CursorRequest,
) -> Result<CursorPage<Entry>> {
    let before = match request.after.as_ref().map(|position| &position.key) {
        Some(SortKey::Number(seq)) => *seq,
        _ => i64::MAX,
    };
    let data = before_seq(tx, filters, before, request.read_limit())?;
    request.page(data, |entry| Position {
        key: SortKey::Number(entry.seq),
        id: Uuid::nil(),
        is_similar: false,
    })
}

/// Returns a page of all entries.
pub fn page(tx: &mut Tx<'_>, page: PageRequest) -> Result<Page<Entry>> {
    let newest = tx.one("SELECT max(seq) AS seq FROM audit", &[], |row| {
        row.get::<Option<i64>>("seq")
    })?;
    // The numbers have no gaps.
    let total = newest.flatten().unwrap_or_default();
    let before = total - page.offset() + 1;
    let data = before_seq(tx, &Filters::default(), before, page.limit)?;
    Ok(Page::new(page, data, Total::exact(total)))
}

/// Returns up to `limit` entries with smaller numbers than `before`.
fn before_seq(tx: &mut Tx<'_>, filters: &Filters, before: i64, limit: i64) -> Result<Vec<Entry>> {
    let mut sql = format!("SELECT seq, {CONTENT} FROM audit WHERE seq < ?1");
    let mut args = vec![Value::Int(before)];
    let mut add = |condition: &str, value| {
        args.push(value);
        // Writing into a `String` cannot fail.
        let _ = write!(sql, " AND {condition} ?{}", args.len());
    };
    match &filters.actor {
        Some(Selector::Type(name)) => add("actor_type =", Value::from(name)),
        Some(Selector::Id(id)) => add("actor_id =", Value::from(id)),
        None => {}
    }
    if let Some(action) = filters.action {
        add("action =", Value::from(action));
    }
    match &filters.target {
        Some(Selector::Type(name)) => add("target_type =", Value::from(name)),
        Some(Selector::Id(id)) => add("target_id =", Value::from(id)),
        None => {}
    }
    if let Some(from) = filters.from {
        add("at >=", Value::Int(from.0));
    }
    if let Some(to) = filters.to {
        add("at <", Value::Int(to.0));
    }
    args.push(Value::Int(limit));
    let _ = write!(sql, " ORDER BY seq DESC LIMIT ?{}", args.len());
    tx.all(&sql, &args, entry)
}
