//! `shop admin order …`.

use std::{
    collections::HashMap,
    fmt::{self, Write},
    sync::Arc,
};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::{
    app::App,
    cli::{
        output::{Output, escape, format_amount, print_message},
        write::write,
    },
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

/// The page that `list` shows.
const FIRST_PAGE: PageRequest = PageRequest {
    page: 1,
    limit: PageLimit::MAX,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Order {
    /// List the newest orders
    List {
        /// Only orders with this status
        #[arg(long, value_name = "STATUS", value_parser = parse_status)]
        status: Option<Status>,
    },
    /// Show an order
    Show {
        /// Id or number of the order
        id: String,
    },
    /// Change the status of an order
    Status {
        /// Id or number of the order
        id: String,
        /// New status
        #[arg(value_enum, ignore_case = true)]
        status: AdminStatus,
    },
    /// Refund an order, in full or in part
    Refund {
        /// Id or number of the order
        id: String,
        /// Amount in the currency's minor unit, e.g. 49900 for 499.00 [default: all that is left]
        #[arg(long, allow_negative_numbers = true)]
        amount: Option<String>,
        /// Restock the items if this refunds the order in full
        #[arg(long)]
        restock: bool,
    },
}

/// The statuses that an admin can set. The others follow from payments and refunds.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPERCASE")]
pub(in crate::cli) enum AdminStatus {
    Shipped,
    Delivered,
    Cancelled,
}

impl From<AdminStatus> for Status {
    fn from(status: AdminStatus) -> Self {
        match status {
            AdminStatus::Shipped => Status::Shipped,
            AdminStatus::Delivered => Status::Delivered,
            AdminStatus::Cancelled => Status::Cancelled,
        }
    }
}

/// An order with its customer's email address.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderWithEmail {
    #[serde(flatten)]
    order: orders::Order,
    customer_email: String,
}

impl Order {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            Order::List { status } => list(app, output, status).await,
            Order::Show { id } => {
                let find = move |tx: &mut Tx<'_>| {
                    let order = orders::order_by_name(tx, &id)?;
                    with_email(tx, order)
                };
                let found = app.db.read("orders.show", find).await?;
                output.value(&found, &details(app, &found))
            }
            Order::Status { id, status } => {
                let transition = move |tx: &mut Tx<'_>| {
                    let current = orders::order_by_name(tx, &id)?;
                    let order = orders::transition(tx, &current, status.into(), Actor::Admin)?;
                    with_email(tx, order)
                };
                let changed = write(app, "orders.transition", transition).await?;
                output.value(&changed, &summary(&changed.order))
            }
            Order::Refund {
                id,
                amount,
                restock,
            } => {
                let amount = parse_amount(amount.as_deref(), app.settings().currency)?;
                let gateway = Arc::clone(&app.gateway);
                let refund = move |tx: &mut Tx<'_>| {
                    let current = orders::order_by_name(tx, &id)?;
                    let order = settlement::refund(tx, &*gateway, current.id, amount, restock)?;
                    with_email(tx, order)
                };
                let refunded = write(app, "orders.refund", refund).await?;
                output.value(&refunded, &refund_summary(app, &refunded.order))
            }
        }
    }
}

fn parse_amount(text: Option<&str>, currency: Currency) -> Result<Option<Amount>> {
    let amount = text.map(|text| Amount::parse(text, currency)).transpose();
    amount.map_err(|error| Error::field("--amount", "invalid", error))
}

fn parse_status(text: &str) -> Result<Status, String> {
    text.to_ascii_uppercase().parse().map_err(|_| {
        let known: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        format!("must be one of {}", known.join(", "))
    })
}

fn with_email(tx: &mut Tx<'_>, order: orders::Order) -> Result<OrderWithEmail> {
    let customer_email = accounts::user_by_id(tx, order.user_id)?.email;
    Ok(OrderWithEmail {
        order,
        customer_email,
    })
}

async fn list(app: &Arc<App>, output: Output, status: Option<Status>) -> Result<()> {
    let filters = Filters {
        status,
        ..Filters::default()
    };
    let read = move |tx: &mut Tx<'_>| {
        let request = ListRequest::Page(FIRST_PAGE);
        let List::Page(page) = orders::list(tx, &filters, &request)? else {
            return Err(Error::internal("expected a page"));
        };
        let mut emails: HashMap<UserId, String> = HashMap::new();
        let mut all = Vec::with_capacity(page.data.len());
        for order in page.data {
            let order = match emails.get(&order.user_id).cloned() {
                Some(customer_email) => OrderWithEmail {
                    order,
                    customer_email,
                },
                None => with_email(tx, order)?,
            };
            emails.insert(order.order.user_id, order.customer_email.clone());
            all.push(order);
        }
        Ok((all, page.total))
    };
    let (newest, total) = app.db.long_read("orders.list", read).await?;
    let headings = [
        "id", "number", "status", "payment", "total", "customer", "created",
    ];
    output.table(&headings, &newest, |row| {
        let order = &row.order;
        vec![
            order.id.to_string(),
            order.number.to_string(),
            order.status.as_str().to_owned(),
            order.payment.status.as_str().to_owned(),
            format_amount(app, order.total_amount),
            row.customer_email.clone(),
            order.created_at.to_string(),
        ]
    })?;
    if total > FIRST_PAGE.limit {
        print_message(&format!(
            "only the {} newest orders are listed; use `GET /api/v1/admin/orders` for all",
            FIRST_PAGE.limit
        ));
    }
    Ok(())
}

fn summary(order: &orders::Order) -> String {
    let (number, status) = (&order.number, order.status.as_str());
    let payment = order.payment.status.as_str();
    format!("order {number} is {status}, payment {payment}")
}

fn refund_summary(app: &App, order: &orders::Order) -> String {
    let summary = summary(order);
    let Some(refund) = order.payment.refunds.last() else {
        return summary;
    };
    let amount = format_amount(app, refund.amount);
    match refund.status {
        RefundStatus::Processed => format!("{summary}; refunded {amount}"),
        RefundStatus::Pending => {
            format!("{summary}; the running server sends the refund of {amount} to the provider")
        }
        RefundStatus::Failed => format!("{summary}; the refund of {amount} failed"),
    }
}

fn details(app: &App, row: &OrderWithEmail) -> String {
    let order = &row.order;
    let payment = &order.payment;
    let mut text = format!(
        "{}\nid: {}\ncustomer: {}\ncreated: {}\n\n",
        summary(order),
        order.id,
        escape(&row.customer_email),
        order.created_at
    );
    let mut line = |arguments: fmt::Arguments<'_>| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{arguments}");
    };
    for item in &order.items {
        line(format_args!(
            "{} x {}: {}",
            item.quantity.get(),
            escape(&item.name),
            format_amount(app, item.line_total)
        ));
    }
    line(format_args!(
        "total: {}",
        format_amount(app, order.total_amount)
    ));
    let transaction = payment.transaction_id.as_deref().unwrap_or("none yet");
    line(format_args!(
        "\ntransaction at {}: {}",
        payment.provider,
        escape(transaction)
    ));
    for refund in &payment.refunds {
        let (amount, status) = (format_amount(app, refund.amount), refund.status.as_str());
        match &refund.failure_reason {
            Some(reason) if refund.status == RefundStatus::Failed => line(format_args!(
                "refund {}: {amount}, {status}: {}",
                refund.id,
                escape(reason)
            )),
            _ => line(format_args!("refund {}: {amount}, {status}", refund.id)),
        }
    }
    text.truncate(text.trim_end().len());
    text
}
