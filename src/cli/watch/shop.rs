//! The client of a shop's live inventory, by server-sent events.

use std::{io, pin::Pin, time::Duration};

use futures_util::TryStreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, Lines};
use tokio_util::io::StreamReader;

use crate::{
    core::{
        error::{Error, Result, root_cause},
        event::StockChange,
    },
    server::running_server,
};

/// Longer than two comments of the stream apart: then the connection is lost.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Shop {
    pub(super) url: String,
    http: reqwest::Client,
}

/// A message of the live inventory.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Message {
    Hello {
        seq: i64,
    },
    Resync {
        seq: i64,
    },
    InventoryUpdate {
        seq: i64,
        at: String,
        products: Vec<StockChange>,
    },
    /// One of a later version.
    #[serde(other)]
    Other,
}

impl Message {
    pub(super) fn seq(&self) -> Option<i64> {
        match self {
            Message::Hello { seq }
            | Message::Resync { seq }
            | Message::InventoryUpdate { seq, .. } => Some(*seq),
            Message::Other => None,
        }
    }
}

/// Products, with the position in the live inventory up to which they are current.
pub(super) struct Products {
    pub(super) seq: i64,
    pub(super) data: Vec<Product>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) stock_quantity: i64,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Product>,
}

impl Shop {
    pub(super) fn at(url: &str) -> Result<Shop> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build();
        Ok(Shop {
            url: url.trim_end_matches('/').to_owned(),
            http: client.map_err(Error::internal)?,
        })
    }

    /// The server on this machine.
    pub(super) fn local(url: &str) -> Result<Shop> {
        Ok(Shop {
            url: url.to_owned(),
            http: running_server::client()?,
        })
    }

    /// Returns the newest products.
    pub(super) async fn products(&self) -> Result<Products> {
        let response = self.get(self.request("/products?limit=100")).await?;
        let seq = response.headers().get("x-inventory-seq");
        let seq = seq.and_then(|seq| seq.to_str().ok()?.parse().ok());
        let seq = seq.ok_or_else(|| self.not_a_shop())?;
        let Page { data } = self.json(response).await?;
        Ok(Products { seq, data })
    }

    /// Returns the name of a product, or `None` if it does not exist any more.
    pub(super) async fn product_name(&self, id: &str) -> Result<Option<String>> {
        let request = self.request(&format!("/products/{id}"));
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        if response.status().as_u16() == 404 {
            return Ok(None);
        }
        let product: Product = self.json(self.checked(response)?).await?;
        Ok(Some(product.name))
    }

    /// Follows the live inventory after `seq`, or from now on.
    pub(super) async fn stream(&self, seq: Option<i64>) -> Result<Stream> {
        let mut request = self.request("/inventory/events");
        if let Some(seq) = seq {
            request = request.header("last-event-id", seq);
        }
        let response = self.get(request).await?;
        let bytes = response.bytes_stream().map_err(io::Error::other);
        let reader: Pin<Box<dyn AsyncBufRead + Send>> = Box::pin(StreamReader::new(bytes));
        Ok(Stream(reader.lines()))
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}/api/v1{path}", self.url))
    }

    async fn get(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        self.checked(response)
    }

    fn checked(&self, response: reqwest::Response) -> Result<reqwest::Response> {
        let (url, status) = (&self.url, response.status());
        match status.as_u16() {
            200 => Ok(response),
            429 => Err(Error::command_failed(format!(
                "{url} allows no more connections from this network"
            ))),
            _ => Err(Error::command_failed(format!("{url} answers {status}"))),
        }
    }

    async fn json<T: DeserializeOwned>(&self, response: reqwest::Response) -> Result<T> {
        let body = response
            .bytes()
            .await
            .map_err(|error| self.failed(&error))?;
        serde_json::from_slice(&body).map_err(|_| self.not_a_shop())
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        let (url, cause) = (&self.url, root_cause(error));
        Error::command_failed(format!("cannot reach {url}: {cause}"))
    }

    fn not_a_shop(&self) -> Error {
        Error::command_failed(format!("there is no shop at {}", self.url))
    }
}

/// The messages of a connection.
pub(super) struct Stream(Lines<Pin<Box<dyn AsyncBufRead + Send>>>);

impl Stream {
    /// Returns the next message, as JSON and parsed; `None` at the end. It can be cancelled at any time.
    pub(super) async fn next(&mut self) -> Result<Option<(String, Message)>> {
        loop {
            let line = self.0.next_line().await.map_err(|error| {
                let cause = root_cause(&error);
                Error::command_failed(format!("the connection was lost: {cause}"))
            })?;
            let Some(line) = line else {
                return Ok(None);
            };
            // The shop writes each message as one line.
            if let Some(json) = line.strip_prefix("data: ") {
                let message = serde_json::from_str(json).map_err(|error| {
                    Error::command_failed(format!("the shop sent an unknown message: {error}"))
                })?;
                return Ok(Some((json.to_owned(), message)));
            }
        }
    }
}
