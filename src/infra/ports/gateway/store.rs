//! The mock provider's books as rows.

use serde_json::{Value, json};

use crate::{
    core::{error::Result, money::Money},
    infra::db::{Tx, params},
};

/// Writes a payment down.
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

/// The payments for an order, the oldest first, as payment entities.
pub(super) fn of_order(tx: &mut Tx<'_>, order_id: &str) -> Result<Vec<Value>> {
    tx.all(
        "SELECT id, amount, currency, status, created_at FROM mock_payments
         WHERE provider_order_id = ?1 ORDER BY created_at, id",
        params![order_id],
        |row| {
            let (id, amount, currency): (String, Money, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let (status, made): (String, crate::core::clock::Timestamp) =
                (row.get(3)?, row.get(4)?);
            Ok(entity(
                &id,
                order_id,
                amount,
                &currency,
                &status,
                made.seconds(),
            ))
        },
    )
}

/// A payment as Razorpay would show it.
pub(super) fn entity(
    id: &str,
    order_id: &str,
    amount: Money,
    currency: &str,
    status: &str,
    created_at: i64,
) -> Value {
    json!({
        "id": id,
        "entity": "payment",
        "amount": amount,
        "currency": currency,
        "status": status,
        "order_id": order_id,
        "method": "upi",
        "amount_refunded": 0,
        "captured": status == "captured",
        "notes": [],
        "created_at": created_at,
    })
}
