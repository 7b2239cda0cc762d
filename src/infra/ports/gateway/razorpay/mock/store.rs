//! SQL of the mock provider's record.

use serde_json::Value;

use super::entity;
use crate::{
    core::{clock::Timestamp, error::Result, money::Money},
    infra::db::{Tx, params},
};

/// Inserts a payment.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    id: &str,
    order_id: &str,
    amount: Money,
    currency: &str,
    status: &str,
) -> Result<()> {
    tx.execute(
        "INSERT INTO mock_payments (id, provider_order_id, amount, currency, status, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id, order_id, amount, currency, status, tx.now()],
    )?;
    Ok(())
}

/// Returns the payment entities of an order, oldest first.
pub(super) fn of_order(tx: &mut Tx<'_>, order_id: &str) -> Result<Vec<Value>> {
    tx.all(
        "SELECT id, amount, currency, status, created_at FROM mock_payments
         WHERE provider_order_id = ?1 ORDER BY created_at, id",
        params![order_id],
        |row| {
            let (id, currency, status): (String, String, String) =
                (row.get("id")?, row.get("currency")?, row.get("status")?);
            let created_at: Timestamp = row.get("created_at")?;
            Ok(entity(
                &id,
                order_id,
                row.get("amount")?,
                &currency,
                &status,
                created_at.seconds(),
            ))
        },
    )
}
