//! Payments and the provider's events as rows.

mod verify;

pub(super) use self::verify::{Unproven, misnamed, overdrawn, unproven};
use super::{LedgerEntry, Payment, PaymentStatus, event::UNMATCHED};
use crate::{
    args,
    db::{Row, Sql, Tx, Value, rows_of},
    error::{Error, Result},
    id::OrderId,
    money::Money,
    page::{Page, PageRequest, Total},
};

const COLUMNS: &str =
    "id, order_id, provider, provider_order_id, status, amount, transaction_id FROM payments";

pub(super) fn insert(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    tx.execute(
        "INSERT INTO payments (id, order_id, provider, provider_order_id, status, amount,
                               transaction_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?7)",
        args![
            payment.id,
            payment.order,
            &payment.provider,
            payment.provider_order_id.as_ref(),
            payment.status.as_str(),
            payment.amount,
            tx.now()
        ],
    )?;
    Ok(())
}

pub(super) fn of_orders(tx: &mut Tx<'_>, orders: &[OrderId]) -> Result<Vec<Payment>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} WHERE order_id IN {}",
        rows_of(orders.len(), 1)
    );
    let ids: Vec<Value<'_>> = orders.iter().map(|id| Value::from(*id)).collect();
    tx.all(&sql, &ids, payment)
}

pub(super) fn by_provider_order(tx: &mut Tx<'_>, id: &str) -> Result<Option<Payment>> {
    let sql = format!("SELECT {COLUMNS} WHERE provider_order_id = ?1");
    tx.one(Sql::from(&sql).locking("payments"), args![id], payment)
}

fn payment(row: &Row<'_>) -> Result<Payment> {
    Ok(Payment {
        id: row.get(0)?,
        order: row.get(1)?,
        provider: row.get(2)?,
        provider_order_id: row.get(3)?,
        status: status(row.get(4)?)?,
        amount: row.get(5)?,
        refunded_amount: Money::ZERO,
        transaction_id: row.get(6)?,
        refunds: Vec::new(),
    })
}

fn status(text: &str) -> Result<PaymentStatus> {
    PaymentStatus::parse(text)
        .ok_or_else(|| Error::internal(format!("a stored payment is `{text}`")))
}

pub(super) fn transaction_is_known(tx: &mut Tx<'_>, id: &str) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payments WHERE transaction_id = ?1",
        args![id],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(super) fn capture(tx: &mut Tx<'_>, order: OrderId, transaction: &str) -> Result<()> {
    let captured = tx.execute(
        "UPDATE payments SET status = 'CAPTURED', transaction_id = ?2, updated_at = ?3
         WHERE order_id = ?1 AND status IN ('CREATED', 'FAILED')",
        args![order, transaction, tx.now()],
    )?;
    if captured == 1 { Ok(()) } else { Err(moved()) }
}

pub(super) fn fail(tx: &mut Tx<'_>, order: OrderId) -> Result<()> {
    let failed = tx.execute(
        "UPDATE payments SET status = 'FAILED', updated_at = ?2
         WHERE order_id = ?1 AND status = 'CREATED'",
        args![order, tx.now()],
    )?;
    if failed == 1 { Ok(()) } else { Err(moved()) }
}

/// The provider delivers again after a 503, so that nothing is lost by it.
fn moved() -> Error {
    Error::unavailable("the payment was changed meanwhile; send the event again")
}

pub(super) fn event_is_known(tx: &mut Tx<'_>, key: &[u8]) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payment_events WHERE event_key = ?1",
        args![key],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(super) struct EventRow<'a> {
    pub key: &'a [u8],
    pub event_id: Option<&'a str>,
    pub event: Option<&'a str>,
    pub order: Option<OrderId>,
    pub provider_payment_id: Option<&'a str>,
    pub amount: Option<i64>,
    pub outcome: &'a str,
    pub body: &'a [u8],
}

pub(super) fn insert_event(tx: &mut Tx<'_>, event: &EventRow<'_>) -> Result<()> {
    let id: uuid::Uuid = tx.id();
    tx.execute(
        "INSERT INTO payment_events (id, event_key, event_id, event, order_id,
                                     provider_payment_id, amount, outcome, body, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        args![
            Value::Id(id),
            event.key,
            event.event_id,
            event.event,
            event.order,
            event.provider_payment_id,
            event.amount,
            event.outcome,
            event.body,
            tx.now()
        ],
    )?;
    Ok(())
}

pub(super) fn list(
    tx: &mut Tx<'_>,
    only: Option<PaymentStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    let only = only.map(PaymentStatus::as_str);
    let total = tx.one(
        "SELECT count(*) FROM payments WHERE CAST(?1 AS TEXT) IS NULL OR status = ?1",
        args![only],
        |row| row.get(0),
    )?;
    let entries = tx.all(
        "SELECT id, status, order_id, transaction_id, amount, created_at FROM payments
         WHERE CAST(?1 AS TEXT) IS NULL OR status = ?1
         ORDER BY created_at DESC, id DESC LIMIT ?2 OFFSET ?3",
        args![only, page.limit, page.offset()],
        |row| {
            Ok(LedgerEntry {
                id: row.get(0)?,
                status: status(row.get(1)?)?.as_str().to_lowercase(),
                order_id: row.get(2)?,
                transaction_id: row.get(3)?,
                amount: row.get(4)?,
                reason: None,
                created_at: row.get(5)?,
            })
        },
    )?;
    Ok(Page::new(
        page,
        entries,
        Total::exact(total.unwrap_or_default()),
    ))
}

pub(super) fn unmatched(tx: &mut Tx<'_>, page: PageRequest) -> Result<Page<LedgerEntry>> {
    // Every outcome that begins with the word, by the order of texts.
    let (from, to) = (UNMATCHED, "unmatched;");
    let total = tx.one(
        "SELECT count(*) FROM payment_events WHERE outcome >= ?1 AND outcome < ?2",
        args![from, to],
        |row| row.get(0),
    )?;
    let entries = tx.all(
        "SELECT id, order_id, provider_payment_id, amount, outcome, received_at
         FROM payment_events WHERE outcome >= ?1 AND outcome < ?2
         ORDER BY received_at DESC, id DESC LIMIT ?3 OFFSET ?4",
        args![from, to, page.limit, page.offset()],
        |row| {
            let outcome: String = row.get(4)?;
            Ok(LedgerEntry {
                id: row.get(0)?,
                status: "unmatched".to_owned(),
                order_id: row.get(1)?,
                transaction_id: row.get(2)?,
                amount: row.get(3)?,
                reason: outcome.strip_prefix(UNMATCHED).map(str::to_owned),
                created_at: row.get(5)?,
            })
        },
    )?;
    Ok(Page::new(
        page,
        entries,
        Total::exact(total.unwrap_or_default()),
    ))
}
