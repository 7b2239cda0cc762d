//! Node.js with the npm packages of `tests/node`, and Chromium.

use std::{
    env,
    path::{Path, PathBuf},
};

use tokio::sync::{Mutex, MutexGuard};

use super::skip;

/// A browser takes several processors, so one runs at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Chromium, for one test at a time.
pub(crate) struct Chromium {
    pub(crate) program: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// Returns the `node_modules` folder of the stories in JavaScript, or `None` if the test is skipped.
pub(crate) fn node_modules() -> Option<PathBuf> {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/node_modules");
    let modules =
        env::var_os("SHOP_TEST_NODE_MODULES").map_or_else(|| installed.into(), PathBuf::from);
    found("NODE_MODULES", modules, "run `npm ci` in tests/node")
}

/// Waits until no other test uses a browser. Returns `None` if the test is skipped.
pub(crate) async fn chromium() -> Option<Chromium> {
    let program =
        env::var_os("SHOP_TEST_CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from);
    Some(Chromium {
        program: found("CHROMIUM", program, "install it")?,
        _turn: TURN.lock().await,
    })
}

fn found(what: &str, path: PathBuf, remedy: &str) -> Option<PathBuf> {
    if Path::new(&path).exists() {
        return Some(path);
    }
    let why = format!("no `{}`: {remedy}, or set SHOP_TEST_{what}", path.display());
    skip(what, &why);
    None
}
