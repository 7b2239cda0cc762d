//! `shop admin …`: what operators do, on the data itself.

mod category;
mod jobs;
mod mail;
mod order;
mod pay;
mod payments;
mod product;
mod sheet;
mod user;

use clap::Subcommand;

pub(super) use self::pay::play;
use super::{Pictures, output::Output, seed};
use crate::{core::error::Result, infra::config::Config};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Accounts
    #[command(subcommand)]
    User(user::User),
    /// Categories
    #[command(subcommand)]
    Category(category::Category),
    /// Products and their stock
    #[command(subcommand)]
    Product(product::Product),
    /// Orders
    #[command(subcommand)]
    Order(order::Order),
    /// What the payment provider sent
    #[command(subcommand)]
    Payments(payments::Payments),
    /// The outbox
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Background work: mails, refunds and payment orders to send, images to delete
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Fill the shop with plausible data, the same for one seed
    Seed(seed::Seed),
    /// Play Razorpay: a customer pays for an order, and the running server hears of it
    ///
    /// Signed webhooks tell the server, as Razorpay's do: `payment.captured` and then `order.paid`, or
    /// `payment.failed` alone. A server that does not answer, or says 503, is told again for some
    /// seconds. An order that waits for no money any more is paid for all the same: the shop has to
    /// cope.
    Pay(pay::Pay),
}

impl Admin {
    fn pictures(&self) -> Pictures {
        match self {
            Admin::Product(command) if command.handles_pictures() => Pictures::Handled,
            _ => Pictures::Untouched,
        }
    }

    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        if let Admin::Seed(seed) = self {
            return seed.run(config, output).await;
        }
        match &self {
            Admin::Product(command) => command.check(config.currency)?,
            Admin::Order(command) => command.check(config.currency)?,
            _ => {}
        }
        let (home, app) = super::open(config, self.pictures()).await?;
        let done = match self {
            Admin::User(command) => command.run(&app, output).await,
            Admin::Category(command) => command.run(&app, output).await,
            Admin::Product(command) => command.run(&app, output).await,
            Admin::Order(command) => command.run(&app, output).await,
            Admin::Payments(command) => command.run(&app, output).await,
            Admin::Mail(command) => command.run(&app, output).await,
            Admin::Jobs(command) => command.run(&app, output).await,
            Admin::Pay(command) => command.run(&home, &app, output).await,
            Admin::Seed(_) => Ok(()),
        };
        app.stopping.cancel();
        app.db.close().await;
        done
    }
}
