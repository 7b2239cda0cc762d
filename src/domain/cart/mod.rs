//! Carts: one for each customer, kept until ordered, at today's prices.

pub mod http;
mod store;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{ProductId, UserId},
        money::{MAX_AMOUNT, Money, Price, Quantity},
    },
    domain::{
        accounts::CurrentUser,
        catalog::{self, Image},
    },
    infra::{db::Tx, web::token::Claims},
};

/// How many lines a cart has at most.
pub const MOST_LINES: usize = 100;

/// A cart as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cart {
    pub items: Vec<CartItem>,
    /// The sum of the quantities.
    pub item_count: i64,
    /// In the currency's minor unit; 2^53 − 1 where it is more.
    pub total_amount: Money,
    /// Present and `true` where the sum is more than `totalAmount`. Such a cart cannot be ordered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub total_is_capped: bool,
    /// ISO 4217.
    #[schema(example = "INR")]
    pub currency: &'static str,
}

/// One line of a cart.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartItem {
    pub product: CartProduct,
    pub quantity: Quantity,
    pub line_total: Money,
}

/// What a cart shows of a product.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartProduct {
    pub id: ProductId,
    pub name: String,
    pub price: Price,
    pub images: Vec<Image>,
    pub stock_quantity: i64,
}

/// One line as it is kept, with what the catalog says of its product now.
#[derive(Debug, Clone)]
pub struct Line {
    pub product: ProductId,
    pub name: String,
    pub price: Price,
    pub stock: i64,
    pub quantity: Quantity,
    pub images: Vec<Image>,
    pub added_at: Timestamp,
}

/// The lines of a cart, the oldest first; products that have left the catalog are not among them.
pub fn lines(tx: &mut Tx<'_>, app: &App, user: UserId) -> Result<Vec<Line>> {
    store::lines(tx, app, user, false).map(oldest_first)
}

/// As [`lines`], and what they say of their products holds until the transaction ends.
pub fn lines_to_order(tx: &mut Tx<'_>, app: &App, user: UserId) -> Result<Vec<Line>> {
    store::lines(tx, app, user, true).map(oldest_first)
}

/// Sorted here: a handful of lines is not worth the engine's sorter.
fn oldest_first(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by_key(|line| (line.added_at, line.product));
    lines
}

/// The cart.
pub fn show(tx: &mut Tx<'_>, app: &App, visitor: CurrentUser) -> Result<Cart> {
    let lines = lines(tx, app, visitor.user)?;
    render(app, lines)
}

/// Adds to what the cart holds of a product, for whoever the claims name, by one statement where
/// that serves; none: the steps are to be taken.
pub fn add_at_once(
    tx: &mut Tx<'_>,
    app: &App,
    claims: &Claims,
    product: ProductId,
    quantity: Quantity,
) -> Result<Option<Cart>> {
    let lines = store::add_at_once(tx, app, claims, product, quantity)?;
    lines
        .map(|lines| render(app, oldest_first(lines)))
        .transpose()
}

/// Adds to what the cart holds of a product.
pub fn add(
    tx: &mut Tx<'_>,
    app: &App,
    visitor: CurrentUser,
    product: ProductId,
    quantity: Quantity,
) -> Result<Cart> {
    let mut lines = lines(tx, app, visitor.user)?;
    if let Some(line) = lines.iter_mut().find(|line| line.product == product) {
        let sum = Quantity::try_from(line.quantity.get() + quantity.get())
            .map_err(|e| Error::field("quantity", "out-of-range", format!("the sum {e}")))?;
        line.quantity = sum;
        check_stock(line)?;
        check_total(&lines)?;
        store::put(tx, visitor.user, product, sum)?;
        return render(app, lines);
    }
    if lines.len() >= MOST_LINES {
        let message = format!("a cart holds at most {MOST_LINES} products");
        return Err(Error::field("productId", "too-many-lines", message));
    }
    let line =
        store::new_line(tx, app, product, quantity)?.ok_or_else(|| Error::not_found("product"))?;
    check_stock(&line)?;
    lines.push(line);
    check_total(&lines)?;
    store::put(tx, visitor.user, product, quantity)?;
    // As it will be shown from now on, also where several came in one moment.
    render(app, oldest_first(lines))
}

/// Sets how many of a product the cart holds. Only more of it has to be in stock, and within the largest
/// sum: a cart that others have pushed past a limit can always be made smaller.
pub fn set(
    tx: &mut Tx<'_>,
    app: &App,
    visitor: CurrentUser,
    product: ProductId,
    quantity: Quantity,
) -> Result<Cart> {
    let mut lines = lines(tx, app, visitor.user)?;
    let line = lines
        .iter_mut()
        .find(|line| line.product == product)
        .ok_or_else(|| Error::not_found("product in the cart"))?;
    let grows = quantity > line.quantity;
    line.quantity = quantity;
    if grows {
        check_stock(line)?;
        check_total(&lines)?;
    }
    store::put(tx, visitor.user, product, quantity)?;
    render(app, lines)
}

/// Takes a product out of the cart.
pub fn remove(
    tx: &mut Tx<'_>,
    app: &App,
    visitor: CurrentUser,
    product: ProductId,
) -> Result<Cart> {
    if !store::delete(tx, visitor.user, product)? {
        return Err(Error::not_found("product in the cart"));
    }
    show(tx, app, visitor)
}

/// Empties the cart.
pub fn clear(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    store::clear(tx, user)
}

/// Returns what the lines come to, or the largest amount and `true` where that is more: prices may have
/// risen since the lines were added.
pub fn total(lines: &[Line]) -> Result<(Money, bool)> {
    let sums = lines.iter().map(|line| line.price.times(line.quantity));
    Ok(Money::capped_sum(sums.collect::<Result<Vec<_>>>()?))
}

/// Errors: `out-of-range` where the cart would come to more than the largest amount.
fn check_total(lines: &[Line]) -> Result<()> {
    let (_, is_capped) = total(lines)?;
    if !is_capped {
        return Ok(());
    }
    let message = format!("the sum would be more than {MAX_AMOUNT}");
    Err(Error::field("totalAmount", "out-of-range", message))
}

fn check_stock(line: &Line) -> Result<()> {
    if line.quantity.get() <= line.stock {
        return Ok(());
    }
    let requested = line.quantity.get();
    Err(catalog::insufficient(vec![catalog::shortage(
        "quantity".to_owned(),
        line.product,
        requested,
        line.stock,
    )]))
}

fn render(app: &App, lines: Vec<Line>) -> Result<Cart> {
    let (total_amount, total_is_capped) = total(&lines)?;
    let items = lines
        .into_iter()
        .map(|line| {
            Ok(CartItem {
                quantity: line.quantity,
                line_total: line.price.times(line.quantity)?,
                product: CartProduct {
                    id: line.product,
                    name: line.name,
                    price: line.price,
                    images: line.images,
                    stock_quantity: line.stock,
                },
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Cart {
        item_count: items.iter().map(|item| item.quantity.get()).sum(),
        items,
        total_amount,
        total_is_capped,
        currency: app.config.currency.code(),
    })
}
