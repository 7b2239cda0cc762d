//! Stock: taken and put back by guarded updates, every change a movement, every change told.
//!
//! The guard stands in the statement itself, so that no two orders can take the same piece.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, SchemaFormat, Type, schema::Schema,
};

use super::{
    Product,
    product::{product, product_to_change},
    store,
};
use crate::{
    app::App,
    core::{
        error::{Error, Field, Result},
        event::StockChange,
        id::{OrderId, ProductId},
        money::{Quantity, Stock, bound, whole_number},
        text::short_texts,
    },
    infra::db::Tx,
};

/// Why stock changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Create,
    Admin,
    Order,
    Cancel,
    Expiry,
    Refund,
    Import,
    /// `shop verify --repair` made the movements say what the stock is.
    Repair,
}

impl Cause {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Cause::Create => "create",
            Cause::Admin => "admin",
            Cause::Order => "order",
            Cause::Cancel => "cancel",
            Cause::Expiry => "expiry",
            Cause::Refund => "refund",
            Cause::Import => "import",
            Cause::Repair => "repair",
        }
    }
}

/// One change of one product's stock.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    pub product: ProductId,
    pub delta: i64,
    pub cause: Cause,
    pub order: Option<OrderId>,
    pub note: Option<&'a str>,
}

impl Movement<'_> {
    pub fn of(cause: Cause, product: ProductId, delta: i64) -> Self {
        Movement {
            product,
            delta,
            cause,
            order: None,
            note: None,
        }
    }
}

/// By how much stock is to change: from −10^9 to 10^9, not 0.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Delta(i64);

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        whole_number(from)
    }
}

impl TryFrom<i64> for Delta {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        if value != 0 && value.abs_diff(0) <= Stock::MOST.unsigned_abs() {
            Ok(Delta(value))
        } else {
            Err("must be a whole number from -1000000000 to 1000000000, not 0".to_owned())
        }
    }
}

impl utoipa::PartialSchema for Delta {
    fn schema() -> RefOr<Schema> {
        let range = |from, to| {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                .minimum(Some(bound(from)))
                .maximum(Some(bound(to)))
        };
        OneOfBuilder::new()
            .item(range(1, Stock::MOST))
            .item(range(-Stock::MOST, -1))
            .into()
    }
}

impl utoipa::ToSchema for Delta {}

short_texts! {
    /// Why an admin changes stock.
    Reason
}

/// How many pieces of a product an order is about.
pub type Line = (ProductId, Quantity);

/// Takes the stock of all lines or none. `lines` must be in the order of product ids, so that two
/// orders never wait for each other.
pub fn take_stock(tx: &mut Tx<'_>, order: OrderId, lines: &[Line]) -> Result<()> {
    let mut changes = Vec::with_capacity(lines.len());
    let mut movements = Vec::with_capacity(lines.len());
    for (index, (product, quantity)) in lines.iter().enumerate() {
        let movement = Movement {
            order: Some(order),
            ..Movement::of(Cause::Order, *product, -quantity.get())
        };
        let Some(left) = store::add_stock(tx, *product, movement.delta)? else {
            let available = store::stock(tx, *product)?.unwrap_or_default();
            return Err(insufficient(vec![shortage(
                format!("items[{index}].quantity"),
                *product,
                quantity.get(),
                available,
            )]));
        };
        movements.push(movement);
        changes.push(StockChange::now(*product, left));
    }
    store::insert_movements(tx, &movements)?;
    tx.emit_stock(&changes)
}

/// Puts back what an order had taken. A product that has left the catalog takes it too, in silence.
pub fn put_back(tx: &mut Tx<'_>, order: OrderId, lines: &[Line], cause: Cause) -> Result<()> {
    let mut changes = Vec::with_capacity(lines.len());
    let mut movements = Vec::with_capacity(lines.len());
    for (product, quantity) in lines {
        let is_listed = store::stock(tx, *product)?.is_some();
        let stock = store::return_stock(tx, *product, quantity.get())?;
        movements.push(Movement {
            order: Some(order),
            ..Movement::of(cause, *product, quantity.get())
        });
        if is_listed {
            changes.push(StockChange::now(*product, stock));
        }
    }
    store::insert_movements(tx, &movements)?;
    tx.emit_stock(&changes)
}

/// An admin's change by a delta.
pub fn change_stock(
    tx: &mut Tx<'_>,
    app: &App,
    id: ProductId,
    delta: Delta,
    reason: &str,
) -> Result<Product<'static>> {
    let current = product_to_change(tx, app, id)?;
    let Some(stock) = store::add_stock(tx, id, delta.0)? else {
        return Err(if delta.0 > 0 {
            let most = format!("stock would pass {}", Stock::MOST);
            Error::field("delta", "out-of-range", most)
        } else {
            let available = current.stock_quantity;
            insufficient(vec![shortage("delta".to_owned(), id, -delta.0, available)])
        });
    };
    let movement = Movement {
        note: Some(reason),
        ..Movement::of(Cause::Admin, id, delta.0)
    };
    store::insert_movements(tx, &[movement])?;
    tx.emit_stock(&[StockChange::now(id, stock)])?;
    product(tx, app, id)
}

/// An admin's count of what is there.
pub(super) fn set(tx: &mut Tx<'_>, current: &Product<'_>, stock: Stock) -> Result<()> {
    let delta = stock.get() - current.stock_quantity;
    if delta == 0 {
        return Ok(());
    }
    store::add_stock(tx, current.id, delta)?
        .ok_or_else(|| Error::internal("the stock moved inside a transaction"))?;
    store::insert_movements(tx, &[Movement::of(Cause::Admin, current.id, delta)])?;
    tx.emit_stock(&[StockChange::now(current.id, stock.get())])
}

/// The answer to asking for more than there is, a line for each shortage.
pub fn insufficient(lines: Vec<Field>) -> Error {
    Error::conflict(
        "insufficient-stock",
        "there is not enough in stock; nothing was changed",
    )
    .with_fields(lines)
}

/// One shortage.
pub fn shortage(field: String, product: ProductId, requested: i64, available: i64) -> Field {
    Field {
        product_id: Some(product),
        requested: Some(requested),
        available: Some(available),
        ..Field::new(
            field,
            "insufficient-stock",
            format!("{available} left, {requested} asked for"),
        )
    }
}
