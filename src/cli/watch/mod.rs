//! `shop watch`: follows the live inventory of a running shop, as a table in the terminal or as JSON lines.

mod shop;
mod table;

use std::{
    io::{self, ErrorKind, Write},
    time::Duration,
};

use tokio::time::MissedTickBehavior;

use self::{
    shop::{Message, Shop, Stream},
    table::Table,
};
use super::output::Output;
use crate::{
    core::error::{Error, Result},
    infra::config::{Config, base_url},
    server::DataDir,
};

#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// URL of the shop, e.g. `https://shop.example` [default: that of the server on this data directory]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    url: Option<String>,
}

fn parse_url(text: &str) -> Result<String, String> {
    base_url(text, "https://shop.example")
}

/// How often the table is drawn, at most.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);

/// The pauses before a new connection: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(15);

impl Watch {
    /// Runs until it is interrupted, or the reader of its output ends.
    ///
    /// Errors: `CommandFailed` if the first connection fails. Later ones are repeated.
    pub(super) async fn run(self, config: &Config, output: Output) -> Result<()> {
        let view = if output.is_json() {
            View::Json
        } else {
            View::Table(Table::new()?)
        };
        let mut watcher = Watcher {
            url: self.url,
            config,
            view,
            seq: None,
        };
        tokio::select! {
            ended = watcher.run() => ended,
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::internal),
        }
    }
}

enum View {
    Json,
    Table(Table),
}

struct Watcher<'a> {
    url: Option<String>,
    config: &'a Config,
    view: View,
    /// The position in the live inventory; `None` before the first connection, and if the products must be read again.
    seq: Option<i64>,
}

/// Why a connection ended.
enum Ended {
    Lost(Error),
    /// Updates are missing.
    Resync,
    Output(io::Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Ended {
        Ended::Lost(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Output(error)
    }
}

impl Watcher<'_> {
    async fn run(&mut self) -> Result<()> {
        let mut connect = self.connect().await;
        let mut is_first = true;
        let mut pause = FIRST_PAUSE;
        loop {
            let ended = match connect {
                Ok((shop, stream)) => {
                    (is_first, pause) = (false, FIRST_PAUSE);
                    match self.follow(&shop, stream).await {
                        Ok(()) => Ended::Lost(Error::unavailable("the shop ended the connection")),
                        Err(ended) => ended,
                    }
                }
                Err(ended) => ended,
            };
            match ended {
                Ended::Resync => {}
                Ended::Output(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                Ended::Output(error) => return Err(Error::internal(error)),
                Ended::Lost(error) if is_first => return Err(error),
                Ended::Lost(error) => {
                    self.report(&error)?;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
            connect = self.connect().await;
        }
    }

    async fn connect(&mut self) -> Result<(Shop, Stream), Ended> {
        let shop = self.shop()?;
        if let (View::Table(table), None) = (&mut self.view, self.seq) {
            let products = shop.products().await?;
            self.seq = Some(products.seq);
            table.load(products.data);
        }
        let stream = shop.stream(self.seq).await?;
        if let View::Table(table) = &mut self.view {
            table.set_status(format!("{}, live", shop.url));
            table.draw()?;
        }
        Ok((shop, stream))
    }

    /// Returns the shop at the URL, or that of the running server, which may have another port after a restart.
    fn shop(&self) -> Result<Shop> {
        if let Some(url) = &self.url {
            return Shop::at(url);
        }
        match DataDir::at(&self.config.data_dir).running_server()? {
            Some(server) => Shop::local(&server.url),
            None => Err(Error::command_failed(format!(
                "no server is running on `{}`; start it with `shop serve`, or name a shop with `--url`",
                self.config.data_dir.display()
            ))),
        }
    }

    /// Shows messages until the connection ends.
    async fn follow(&mut self, shop: &Shop, mut stream: Stream) -> Result<(), Ended> {
        let mut redraw = tokio::time::interval(REDRAW_INTERVAL);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = stream.next() => match message? {
                    Some((json, message)) => self.show(&json, &message)?,
                    None => return Ok(()),
                },
                _ = redraw.tick() => if let View::Table(table) = &mut self.view && table.has_changed() {
                    for id in table.unnamed() {
                        table.set_name(&id, shop.product_name(&id).await?);
                    }
                    table.draw()?;
                },
            }
        }
    }

    fn show(&mut self, json: &str, message: &Message) -> Result<(), Ended> {
        match (&mut self.view, message) {
            (View::Json, _) => writeln!(io::stdout(), "{json}")?,
            (View::Table(_), Message::Resync { .. }) => {
                self.seq = None;
                return Err(Ended::Resync);
            }
            (View::Table(table), Message::InventoryUpdate { at, products, .. }) => {
                for change in products {
                    table.update(change, at);
                }
            }
            (View::Table(_), Message::Hello { .. } | Message::Other) => {}
        }
        self.seq = message.seq().or(self.seq);
        Ok(())
    }

    /// Reports that the connection was lost.
    fn report(&mut self, error: &Error) -> Result<()> {
        let message = format!("{}; connecting again", error.detail());
        match &mut self.view {
            View::Json => super::output::print_message(&message),
            View::Table(table) => {
                table.set_status(message);
                table.draw().map_err(Error::internal)?;
            }
        }
        Ok(())
    }
}
