//! Transactions on behalf of a user. The session is checked in the transaction that does the work, so that a
//! logout cannot happen in between, and no handler can forget the check.

use std::sync::Arc;

use bytes::Bytes;

use super::Admin;
use crate::{
    app::App,
    core::{
        audit::Actor,
        error::{Error, Result},
        id::UserId,
    },
    domain::accounts::{
        CurrentUser,
        authenticate::{authenticate, authenticated, prefetch_authentication, require_admin},
        lookup,
    },
    infra::{
        db::Tx,
        web::{
            idempotency::{self, IdempotencyKey, StoredResponse},
            jwt::Claims,
            request_context,
        },
    },
};

/// Who a transaction is for. The type decides what is checked: [`Claims`] are any user's, an [`Admin`] must still
/// be one.
pub trait Caller: Clone + Send + 'static {
    /// Returns the user, and locks the account and its session until commit.
    ///
    /// Errors: `unauthorized` if the session has ended; `forbidden` if an [`Admin`] no longer is one.
    fn current_user(&self, tx: &mut Tx<'_>) -> Result<CurrentUser>;

    /// Like [`Caller::current_user`], in a transaction that writes. The changes of an [`Admin`] are audited; users
    /// of [`Claims`] act on their own data.
    fn begin_write(&self, tx: &mut Tx<'_>) -> Result<CurrentUser> {
        self.current_user(tx)
    }

    /// Returns the id of an admin, whose writes are logged.
    fn admin_id(&self) -> Option<UserId> {
        None
    }
}

impl Caller for Claims {
    fn current_user(&self, tx: &mut Tx<'_>) -> Result<CurrentUser> {
        authenticate(tx, self)
    }
}

impl Caller for Admin {
    fn current_user(&self, tx: &mut Tx<'_>) -> Result<CurrentUser> {
        require_admin(tx, &self.claims)
    }

    fn begin_write(&self, tx: &mut Tx<'_>) -> Result<CurrentUser> {
        // Both queries share a round trip.
        let address = lookup::prefetch_address(tx, self.claims.sub)?;
        let user = self.current_user(tx)?;
        let (_, name) = tx
            .result(address)?
            .ok_or_else(|| Error::not_found("account"))?;
        let actor = Actor::user(user.id, name, self.origin.clone());
        tx.set_actor(Arc::new(actor));
        Ok(user)
    }

    fn admin_id(&self) -> Option<UserId> {
        Some(self.claims.sub)
    }
}

/// Every method also fails as [`Caller::current_user`].
impl App {
    /// Runs a short read. See [`Db::read`](crate::infra::db::Db::read).
    pub async fn read_as<T, F>(
        &self,
        caller: &impl Caller,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        self.db.read(name, checked(caller.clone(), work)).await
    }

    /// Runs a long read. See [`Db::long_read`](crate::infra::db::Db::long_read).
    pub async fn long_read_as<T, F>(
        &self,
        caller: &impl Caller,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        self.db.long_read(name, checked(caller.clone(), work)).await
    }

    /// Runs a write, and logs that of an admin. See [`Db::write`](crate::infra::db::Db::write).
    pub async fn write_as<T, F>(
        &self,
        caller: &impl Caller,
        name: &'static str,
        mut work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        let admin = caller.admin_id();
        let caller = caller.clone();
        let work = move |tx: &mut Tx<'_>| {
            let user = caller.begin_write(tx)?;
            work(tx, user)
        };
        let written = self.db.write(name, work).await?;
        if let Some(admin) = admin {
            log_admin_action(admin, name);
        }
        Ok(written)
    }

    /// Like [`App::write_as`], once per idempotency key: a repeat replays the first response. `body` is the body
    /// of the request.
    ///
    /// Errors: as [`idempotency::once`].
    pub async fn write_once_as<F>(
        &self,
        caller: &impl Caller,
        name: &'static str,
        (key, body): (IdempotencyKey, Bytes),
        mut work: F,
    ) -> Result<StoredResponse>
    where
        F: FnMut(&mut Tx<'_>) -> Result<StoredResponse> + Send + 'static,
    {
        self.write_as(caller, name, move |tx, user| {
            idempotency::once(tx, &key, user.id, &body, &mut work)
        })
        .await
    }

    /// Like [`App::write_as`]. What `prefetch` reads shares the round trip of the session check. It is read before
    /// the result of the check is known, so `prefetch` must not write.
    pub async fn write_prefetched_as<Q, T, W>(
        &self,
        claims: &Claims,
        name: &'static str,
        mut prefetch: impl FnMut(&mut Tx<'_>, UserId) -> Result<Q> + Send + 'static,
        mut work: W,
    ) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Tx<'_>, CurrentUser, Q) -> Result<T> + Send + 'static,
    {
        let claims = *claims;
        let work = move |tx: &mut Tx<'_>| {
            let user = prefetch_authentication(tx, &claims)?;
            let prefetched = prefetch(tx, claims.sub)?;
            let user = authenticated(tx, user)?;
            work(tx, user, prefetched)
        };
        self.db.write(name, work).await
    }
}

/// Logs a committed write of an admin.
fn log_admin_action(admin: UserId, operation: &str) {
    let request_id = request_context::request_id();
    let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
    tracing::info!(target: "shop::admin", user = %admin, operation, request_id, "admin action");
}

/// Returns `work`, preceded by the check of the caller.
fn checked<T, F>(
    caller: impl Caller,
    mut work: F,
) -> impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static
where
    F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
{
    move |tx: &mut Tx<'_>| {
        let user = caller.current_user(tx)?;
        work(tx, user)
    }
}
