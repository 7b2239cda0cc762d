//! A connection that pipelines: queued statements are sent together with the next one whose result is
//! awaited, so that all of them share one round trip. The server runs them in the order of the queue.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use bytes::{BufMut, BytesMut};
use futures_util::TryStreamExt;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio::runtime::Runtime;
use tokio_postgres::{
    Client, Connection, Error as PgError, Row, RowStream, Socket, Statement, tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Target;
use crate::{
    core::error::{Error, Result},
    infra::db::Value,
};

type Driver = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

pub(super) struct Pipeline {
    runtime: Runtime,
    client: Client,
    /// Reads and writes the socket while a response is awaited. `None`: the connection is closed.
    driver: Option<Pin<Box<Driver>>>,
    queue: Vec<Request>,
}

enum Request {
    /// Statements without parameters and results.
    Batch(String),
    Execute(Statement, Vec<Parameter>),
    Query(Statement, Vec<Parameter>),
}

/// What a queued request returned.
pub(super) enum Response {
    /// How many rows the statement changed.
    Count(u64),
    Rows(Vec<Row>),
}

impl Pipeline {
    pub(super) fn connect(target: &Target) -> Result<Pipeline> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        match runtime.block_on(target.connect_async()) {
            Ok((client, driver)) => Ok(Pipeline {
                runtime,
                client,
                driver: Some(Box::pin(driver)),
                queue: Vec::new(),
            }),
            Err(error) => {
                // A name lookup may still block one of its threads.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_none() || self.client.is_closed()
    }

    /// Queues statements without parameters and results, such as `BEGIN`.
    pub(super) fn queue_batch(&mut self, sql: String) {
        self.queue.push(Request::Batch(sql));
    }

    /// Queues a statement; its response is a [`Response::Count`].
    pub(super) fn queue_execute(
        &mut self,
        statement: Statement,
        params: &[Value<'_>],
    ) -> Result<()> {
        let params = encode(&statement, params)?;
        self.queue.push(Request::Execute(statement, params));
        Ok(())
    }

    /// Queues a query; its response is [`Response::Rows`].
    pub(super) fn queue_query(&mut self, statement: Statement, params: &[Value<'_>]) -> Result<()> {
        let params = encode(&statement, params)?;
        self.queue.push(Request::Query(statement, params));
        Ok(())
    }

    /// Drops the requests that were not sent.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Prepares a statement in a separate round trip, ahead of the queue.
    pub(super) fn prepare(&mut self, sql: &str) -> Result<Statement, PgError> {
        drive(&self.runtime, &mut self.driver, self.client.prepare(sql))
    }

    /// Sends the queue. Returns the responses in the order of the queue.
    pub(super) fn flush(&mut self) -> Vec<Result<Response, PgError>> {
        self.send(async |_| Ok(())).0
    }

    /// Sends the queue, then statements without parameters and results.
    pub(super) fn batch(
        &mut self,
        sql: &str,
    ) -> (Vec<Result<Response, PgError>>, Result<(), PgError>) {
        self.send(async |client| client.batch_execute(sql).await)
    }

    /// Sends the queue, then a statement. Returns how many rows that changed.
    pub(super) fn execute(
        &mut self,
        statement: &Statement,
        params: &[Value<'_>],
    ) -> (Vec<Result<Response, PgError>>, Result<u64, PgError>) {
        self.send(async |client| client.execute_raw(statement, params).await)
    }

    /// Sends the queue, then a query. The rows of the query are read by [`Pipeline::next`].
    pub(super) fn query(
        &mut self,
        statement: &Statement,
        params: &[Value<'_>],
    ) -> (Vec<Result<Response, PgError>>, Result<RowStream, PgError>) {
        self.send(async |client| client.query_raw(statement, params).await)
    }

    /// Returns the next row of a query.
    pub(super) fn next(&mut self, mut rows: Pin<&mut RowStream>) -> Result<Option<Row>, PgError> {
        drive(&self.runtime, &mut self.driver, rows.try_next())
    }

    fn send<T>(
        &mut self,
        last: impl AsyncFnOnce(&Client) -> Result<T, PgError>,
    ) -> (Vec<Result<Response, PgError>>, Result<T, PgError>) {
        let queue = std::mem::take(&mut self.queue);
        let client = &self.client;
        let mut queued: Vec<_> = queue
            .into_iter()
            .map(|request| (Box::pin(request.send(client)), None))
            .collect();
        let mut last = pin!(last(client));
        let mut last_response = None;
        // A request is sent when its future is first polled, so the order of polling is the order on the
        // connection.
        let all = poll_fn(|cx| {
            let mut is_pending = false;
            for (future, response) in &mut queued {
                if response.is_none() {
                    match future.as_mut().poll(cx) {
                        Poll::Ready(ready) => *response = Some(ready),
                        Poll::Pending => is_pending = true,
                    }
                }
            }
            if last_response.is_none() {
                match last.as_mut().poll(cx) {
                    Poll::Ready(ready) => last_response = Some(ready),
                    Poll::Pending => is_pending = true,
                }
            }
            if is_pending {
                return Poll::Pending;
            }
            last_response.take().map_or(Poll::Pending, Poll::Ready)
        });
        let last = drive(&self.runtime, &mut self.driver, all);
        let responses = queued.into_iter().filter_map(|(_, response)| response);
        (responses.collect(), last)
    }
}

impl Request {
    async fn send(self, client: &Client) -> Result<Response, PgError> {
        match self {
            Request::Batch(sql) => client
                .batch_execute(&sql)
                .await
                .map(|()| Response::Count(0)),
            Request::Execute(statement, params) => client
                .execute_raw(&statement, &params)
                .await
                .map(Response::Count),
            Request::Query(statement, params) => {
                let rows = client.query_raw(&statement, &params).await?;
                rows.try_collect().await.map(Response::Rows)
            }
        }
    }
}

/// Runs a future that waits for responses, and the connection with it.
fn drive<T>(
    runtime: &Runtime,
    driver: &mut Option<Pin<Box<Driver>>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    runtime.block_on(poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if let Some(connection) = driver
            && let Poll::Ready(ended) = connection.as_mut().poll(cx)
        {
            // Dropping it fails the requests that still wait.
            *driver = None;
            tracing::debug!(?ended, "a connection to the database was closed");
        }
        work.as_mut().poll(cx)
    }))
}

/// A parameter in the binary format of its statement's type. `None` is NULL.
#[derive(Debug)]
struct Parameter(Option<BytesMut>);

fn encode(statement: &Statement, params: &[Value<'_>]) -> Result<Vec<Parameter>> {
    if statement.params().len() != params.len() {
        return Err(Error::internal(format!(
            "a statement has {} parameters, {} were given",
            statement.params().len(),
            params.len()
        )));
    }
    let encoded = statement.params().iter().zip(params).map(|(kind, value)| {
        let mut bytes = BytesMut::new();
        Ok(Parameter(match value.to_sql(kind, &mut bytes)? {
            IsNull::No => Some(bytes),
            IsNull::Yes => None,
        }))
    });
    encoded
        .collect::<Result<_, Box<dyn std::error::Error + Sync + Send>>>()
        .map_err(Error::internal)
}

impl ToSql for Parameter {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(bytes) => {
                out.put_slice(bytes);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
