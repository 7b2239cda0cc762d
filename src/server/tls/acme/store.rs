//! Where ACME keeps its account, its certificate and its progress, so that all instances share them: in files in
//! `keys/` beside an SQLite database, in the database on Postgres.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    core::error::{Error, Result},
    infra::db::{self, Db},
    server::DataDir,
};

/// The entries, as JSON. The first two are secret; see [`crate::server::SECRETS`].
pub(in crate::server) const ACCOUNT: &str = "acme_account";
pub(in crate::server) const CERTIFICATE: &str = "acme_certificate";
pub(super) const CHALLENGES: &str = "acme_challenges";
pub(super) const RETRY: &str = "acme_retry";

#[derive(Debug)]
pub(in crate::server::tls) enum Store {
    Files(DataDir),
    Database(Db),
}

impl Store {
    /// Returns an entry, or `None` if it was never written.
    ///
    /// Errors: `Unavailable` if it cannot be read.
    pub(super) async fn get<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>> {
        let text = match self {
            Store::Files(data_dir) => data_dir.existing_secret(name)?,
            Store::Database(db) => {
                db.read("acme.get", move |tx| db::find_setting(tx, name))
                    .await?
            }
        };
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| Error::unavailable(format!("`{name}` is damaged: {error}; delete it")))
    }

    /// Writes an entry.
    pub(super) async fn put<T: Serialize>(&self, name: &'static str, value: &T) -> Result<()> {
        let text = serde_json::to_string(value).map_err(Error::internal)?;
        match self {
            Store::Files(data_dir) => data_dir.replace_secret(name, &text),
            Store::Database(db) => {
                let put = move |tx: &mut db::Tx<'_>| {
                    db::setting(tx, name, &text)?;
                    db::set_setting(tx, name, &text)
                };
                db.write("acme.put", put).await
            }
        }
    }
}
