//! `shop admin …`: commands of operators. They work on the data directly, whether or not a server is running.

mod audit;
mod category;
mod collection;
mod jobs;
mod mail;
mod order;
mod pay;
mod payments;
mod product;
mod user;
mod validator;

use clap::Subcommand;

use super::{
    open::{self, ImageAccess},
    output::Output,
    seed,
};
use crate::{core::error::Result, infra::config::Config};

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Manage user accounts
    #[command(subcommand)]
    User(user::User),
    /// Manage categories
    #[command(subcommand)]
    Category(category::Category),
    /// Manage collections: products that are shown together, in an order of their own
    #[command(subcommand)]
    Collection(collection::Collection),
    /// Manage products and their stock
    #[command(subcommand)]
    Product(product::Product),
    /// Manage orders
    #[command(subcommand)]
    Order(order::Order),
    /// List and reconcile payments
    #[command(subcommand)]
    Payments(payments::Payments),
    /// Manage the outbox of emails
    #[command(subcommand)]
    Mail(mail::Mail),
    /// Manage background jobs: emails, refunds and payment orders to send, images to delete
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// List who changed what, newest first
    ///
    /// The log has every change by admins, by commands and by the program itself. Entries cannot be changed or
    /// deleted; each has the hash of the one before it.
    Audit(audit::Audit),
    /// Fill the shop with sample data
    Seed(seed::Seed),
    /// Simulate Razorpay: a customer pays for an order, and the running server receives the webhooks
    ///
    /// Sends the signed webhooks that Razorpay sends: `payment.captured` and `order.paid`, or only
    /// `payment.failed`. Retries for some seconds if the server does not answer, or answers 503. An order that
    /// is paid, cancelled or expired can be paid for as well, since customers may do so.
    Pay(pay::Pay),
}

impl Admin {
    fn image_access(&self) -> ImageAccess {
        match self {
            Admin::Product(command) if command.has_images() => ImageAccess::Needed,
            _ => ImageAccess::NotNeeded,
        }
    }

    pub(super) async fn run(self, config: Config, output: Output) -> Result<()> {
        if let Admin::Seed(seed) = self {
            return seed.run(config, output).await;
        }
        let (data_dir, app) = open::open(config, self.image_access()).await?;
        let result = match self {
            Admin::User(command) => command.run(&app, output).await,
            Admin::Category(command) => command.run(&app, output).await,
            Admin::Collection(command) => command.run(&app, output).await,
            Admin::Product(command) => command.run(&app, output).await,
            Admin::Order(command) => command.run(&app, output).await,
            Admin::Payments(command) => command.run(&app, output).await,
            Admin::Mail(command) => command.run(&app, output).await,
            Admin::Jobs(command) => command.run(&app, output).await,
            Admin::Audit(command) => command.run(&app, output).await,
            Admin::Pay(command) => command.run(&data_dir, &app, output).await,
            Admin::Seed(_) => Ok(()),
        };
        open::close(&app).await;
        result
    }
}
