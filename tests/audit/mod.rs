//! The audit log: what is recorded, that it cannot be changed unnoticed, and how it is listed.

mod actions;
mod chain;
mod commands;
mod list;

use serde_json::Value;

use crate::support::Client;

/// Returns all entries, newest first. There must be at most 100.
async fn entries(admin: &Client<'_>) -> Vec<Value> {
    let answer = admin.get("/admin/audit?limit=100").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let page = answer.json();
    assert_eq!(page["nextCursor"], Value::Null);
    page["data"].as_array().unwrap().clone()
}

/// Returns the actions of entries.
fn actions(entries: &[Value]) -> Vec<&str> {
    let actions = entries.iter().map(|entry| entry["action"].as_str());
    actions.map(Option::unwrap).collect()
}
