//! What is known of the scheduled backups. It is kept in the database, so that every instance can report it, at any
//! time, without asking the backup place.

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
    },
    infra::db::{self, Tx},
};

/// The name of the setting, whose value is JSON.
const SETTING: &str = "backup_state";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// When the newest archive in the place was made, if there is one.
    pub newest: Option<Timestamp>,
    /// Why the last attempt failed. It stays until one succeeds.
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub at: Timestamp,
    pub error: String,
}

/// Returns the recorded state.
pub fn read(tx: &mut Tx<'_>) -> Result<State> {
    Ok(parse(db::find_setting(tx, SETTING)?))
}

/// Records which archive is the newest. Returns whether the last attempt failed.
pub fn record_newest(tx: &mut Tx<'_>, newest: Option<Timestamp>) -> Result<bool> {
    let state = update(tx, |state| state.newest = newest)?;
    Ok(state.failure.is_some())
}

/// Records that the newest archive is complete, and no attempt has failed since.
pub fn record_success(tx: &mut Tx<'_>, newest: Timestamp) -> Result<()> {
    let complete = State {
        newest: Some(newest),
        failure: None,
    };
    update(tx, |state| *state = complete).map(drop)
}

/// Records why an attempt failed.
pub fn record_failure(tx: &mut Tx<'_>, error: &str) -> Result<()> {
    let failure = Failure {
        at: tx.now(),
        error: error.to_owned(),
    };
    update(tx, |state| state.failure = Some(failure)).map(drop)
}

/// Changes the state, and writes it if it differs.
fn update(tx: &mut Tx<'_>, change: impl FnOnce(&mut State)) -> Result<State> {
    let stored = parse(Some(db::setting_for_update(tx, SETTING, "{}")?));
    let mut state = stored.clone();
    change(&mut state);
    if state != stored {
        let text = serde_json::to_string(&state).map_err(Error::internal)?;
        db::set_setting(tx, SETTING, &text)?;
    }
    Ok(state)
}

/// Nothing is known if another version wrote it in a form that this one cannot read. The next look corrects it.
fn parse(text: Option<String>) -> State {
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}
