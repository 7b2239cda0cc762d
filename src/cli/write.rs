//! Writes of commands. The audit log records them as changes of the user who runs the command.

use std::{env, sync::Arc};

use crate::{
    app::App,
    core::{audit::Actor, error::Result},
    infra::db::Tx,
    server,
};

/// Runs a write. See [`Db::write`](crate::infra::db::Db::write).
pub(super) async fn write<T, F>(app: &App, name: &'static str, mut work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    let actor = Arc::new(Actor::cli(user_name()));
    app.db
        .write(name, move |tx| {
            tx.set_actor(Arc::clone(&actor));
            work(tx)
        })
        .await
}

/// Returns the user of the operating system. Commands must run as the owner of the data directory, so behind `sudo`
/// it is followed by the user who ran that.
fn user_name() -> String {
    let user = server::current_user();
    match env::var("SUDO_USER") {
        Ok(by) if !by.is_empty() && by.len() <= MAX_SUDO_USER && !by.contains(char::is_control) => {
            format!("{user} (sudo by {by})")
        }
        _ => user,
    }
}

/// The maximum length of a user name, in bytes.
const MAX_SUDO_USER: usize = 256;
