//! `shop admin order …`.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::{
    app::App,
    cli::output::{Output, amount, escape, note},
    core::{
        error::{Error, Result},
        id::UserId,
        money::{Amount, Currency},
        pagination::{List, ListRequest, PageLimit, PageRequest},
    },
    domain::{
        accounts,
        orders::{self, Actor, Filters, Status},
        payments::RefundStatus,
        settlement,
    },
    infra::db::Tx,
};

/// How many orders the list shows.
const SHOWN: PageRequest = PageRequest {
    page: 1,
    limit: PageLimit::MOST,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Order {
    /// List the newest orders
    List {
        /// Only those that stand there
        #[arg(long, value_name = "STATUS", value_parser = status)]
        status: Option<Status>,
    },
    /// Show an order, by its id or number
    Show { id: String },
    /// Move an order on
    Status {
        id: String,
        #[arg(value_enum, ignore_case = true)]
        status: Next,
    },
    /// Give money back, all that is left if no sum is named
    Refund {
        id: String,
        /// In the currency's minor unit: 49900 is 499.00
        #[arg(long, allow_negative_numbers = true)]
        amount: Option<String>,
        /// Put the stock back, too, once nothing is left
        #[arg(long)]
        restock: bool,
    },
}

/// Where an admin can move an order to; the rest follows its money.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPERCASE")]
pub(in crate::cli) enum Next {
    Shipped,
    Delivered,
    Cancelled,
}

impl From<Next> for Status {
    fn from(next: Next) -> Self {
        match next {
            Next::Shipped => Status::Shipped,
            Next::Delivered => Status::Delivered,
            Next::Cancelled => Status::Cancelled,
        }
    }
}

/// An order with the address of its customer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    order: orders::Order,
    customer_email: String,
}

impl Order {
    /// Errors if a value is wrong in itself, whether or not there is a shop.
    pub(in crate::cli) fn check(&self, currency: Currency) -> Result<()> {
        match self {
            Order::Refund { amount, .. } => parse_amount(amount.as_deref(), currency).map(drop),
            Order::List { .. } | Order::Show { .. } | Order::Status { .. } => Ok(()),
        }
    }

    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Order::List { status } => list(app, output, status).await,
            Order::Show { id } => {
                let shop = Arc::clone(app);
                let find = move |tx: &mut Tx<'_>| {
                    let order = orders::order_by_name(tx, &shop, &id)?;
                    shown(tx, order)
                };
                let found = app.db.read("orders.show", find).await?;
                output.one(&found, &in_full(app, &found))
            }
            Order::Status { id, status } => {
                let shop = Arc::clone(app);
                let advance = move |tx: &mut Tx<'_>| {
                    let current = orders::order_by_name(tx, &shop, &id)?;
                    let order =
                        orders::transition(tx, &shop, &current, status.into(), Actor::Admin)?;
                    shown(tx, order)
                };
                let moved = app.db.write("orders.advance", advance).await?;
                output.one(&moved, &in_short(&moved.order))
            }
            Order::Refund {
                id,
                amount,
                restock,
            } => {
                let amount = parse_amount(amount.as_deref(), app.config.currency)?;
                let shop = Arc::clone(app);
                let refund = move |tx: &mut Tx<'_>| {
                    let current = orders::order_by_name(tx, &shop, &id)?;
                    let order = settlement::refund(tx, &shop, current.id, amount, restock)?;
                    shown(tx, order)
                };
                let given = app.db.write("orders.refund", refund).await?;
                output.one(&given, &with_newest_refund(app, &given.order))
            }
        }
    }
}

fn parse_amount(text: Option<&str>, currency: Currency) -> Result<Option<Amount>> {
    let amount = text.map(|text| Amount::parse(text, currency)).transpose();
    amount.map_err(|why| Error::field("--amount", "invalid", why))
}

fn status(text: &str) -> Result<Status, String> {
    Status::parse(&text.to_ascii_uppercase()).ok_or_else(|| {
        let known = Status::ALL.map(Status::as_str).join(", ");
        format!("must be one of {known}")
    })
}

fn shown(tx: &mut Tx<'_>, order: orders::Order) -> Result<Shown> {
    let customer_email = accounts::user_by_id(tx, order.user_id)?.email;
    Ok(Shown {
        order,
        customer_email,
    })
}

async fn list(app: &Arc<App>, output: Output, status: Option<Status>) -> Result<()> {
    let shop = Arc::clone(app);
    let filters = Filters {
        status,
        ..Filters::default()
    };
    let newest = move |tx: &mut Tx<'_>| {
        let List::Page(page) = orders::list(tx, &shop, &filters, &ListRequest::Page(SHOWN))? else {
            return Err(Error::internal("a page was asked for"));
        };
        let mut emails: HashMap<UserId, String> = HashMap::new();
        let mut all = Vec::with_capacity(page.data.len());
        for order in page.data {
            let known = emails.get(&order.user_id).cloned();
            let shown = match known {
                Some(customer_email) => Shown {
                    order,
                    customer_email,
                },
                None => shown(tx, order)?,
            };
            emails.insert(shown.order.user_id, shown.customer_email.clone());
            all.push(shown);
        }
        Ok((all, page.total))
    };
    let (newest, total) = app.db.long_read("orders.list", newest).await?;
    let head = [
        "id", "number", "status", "payment", "total", "customer", "created",
    ];
    output.table(&head, &newest, |shown| {
        let order = &shown.order;
        vec![
            order.id.to_string(),
            order.number.to_string(),
            order.status.as_str().to_owned(),
            order.payment.status.as_str().to_owned(),
            amount(app, order.total_amount),
            shown.customer_email.clone(),
            order.created_at.to_string(),
        ]
    })?;
    if total > SHOWN.limit {
        let all = "`GET /api/v1/admin/orders` gives all";
        note(&format!(
            "the {} newest orders are shown; {all}",
            SHOWN.limit
        ));
    }
    Ok(())
}

fn in_short(order: &orders::Order) -> String {
    let (number, status) = (&order.number, order.status.as_str());
    let payment = order.payment.status.as_str();
    format!("order {number} is {status}, its payment {payment}")
}

/// What became of the money that goes back.
fn with_newest_refund(app: &App, order: &orders::Order) -> String {
    let stands = in_short(order);
    let Some(refund) = order.payment.refunds.last() else {
        return stands;
    };
    let what = match refund.status {
        RefundStatus::Processed => "went back",
        RefundStatus::Pending => "goes back once the running server has told the provider",
        RefundStatus::Failed => "did not go back",
    };
    format!("{stands}; {} {what}", amount(app, refund.amount))
}

fn in_full(app: &App, shown: &Shown) -> String {
    let order = &shown.order;
    let payment = &order.payment;
    let mut text = format!(
        "{}\nid: {}\ncustomer: {}\ncreated: {}\n\n",
        in_short(order),
        order.id,
        escape(&shown.customer_email),
        order.created_at
    );
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing into a `String` cannot fail.
        let _ = writeln!(text, "{words}");
    };
    for item in &order.items {
        let total = amount(app, item.line_total);
        line(format_args!(
            "{} x {}: {total}",
            item.quantity.get(),
            escape(&item.name)
        ));
    }
    line(format_args!("total: {}", amount(app, order.total_amount)));
    let transaction = payment.transaction_id.as_deref().unwrap_or("nothing yet");
    line(format_args!(
        "\npaid by {}: {}",
        payment.provider,
        escape(transaction)
    ));
    for refund in &payment.refunds {
        let given = amount(app, refund.amount);
        let status = refund.status.as_str();
        line(format_args!("refund {}: {given}, {status}", refund.id));
    }
    text.truncate(text.trim_end().len());
    text
}
