//! A simple model of the shop: no database, no provider, no concurrency. It follows the API contract, not the
//! code.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The prices of the two products.
pub(super) const PRICES: [i64; 2] = [129_900, 30_000];

/// The initial stock of each product. It is low, so that some orders find too little.
pub(super) const STOCK: i64 = 12;

/// How long an order may stay unpaid.
const PAYMENT_WINDOW: Duration = Duration::from_mins(30);

/// The outcome of a request: success, or a problem code.
pub(super) type Outcome = Result<(), &'static str>;

/// An order and its payment, with the values of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) placed_at: Duration,
    pub(super) quantities: [i64; 2],
    pub(super) status: &'static str,
    pub(super) payment: &'static str,
    pub(super) transaction: Option<String>,
    pub(super) refunds: Vec<i64>,
    /// Whether any refund requested restocking.
    restocks: bool,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) now: Duration,
    pub(super) stock: [i64; 2],
    pub(super) orders: Vec<Order>,
    /// Payments that match no order, and that an admin must resolve.
    pub(super) unmatched: BTreeSet<String>,
    /// Payments for orders that were paid already, with their amounts. They are refunded.
    pub(super) duplicates: BTreeMap<String, i64>,
}

/// An event of the provider about a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PaymentEvent {
    pub(super) order: usize,
    pub(super) payment: String,
    pub(super) amount: i64,
    pub(super) is_captured: bool,
}

impl Order {
    pub(super) fn total(&self) -> i64 {
        self.quantities[0] * PRICES[0] + self.quantities[1] * PRICES[1]
    }

    pub(super) fn refunded(&self) -> i64 {
        self.refunds.iter().sum()
    }

    /// Returns the amount that can still be refunded.
    pub(super) fn refundable(&self) -> i64 {
        match self.payment {
            "CAPTURED" => self.total() - self.refunded(),
            _ => 0,
        }
    }
}

impl Model {
    pub(super) fn new(now: Duration) -> Model {
        Model {
            now,
            stock: [STOCK; 2],
            orders: Vec::new(),
            unmatched: BTreeSet::new(),
            duplicates: BTreeMap::new(),
        }
    }

    pub(super) fn checkout(&mut self, quantities: [i64; 2]) -> Outcome {
        if quantities == [0, 0] {
            return Err("cart-empty");
        }
        if quantities[0] > self.stock[0] || quantities[1] > self.stock[1] {
            return Err("insufficient-stock");
        }
        self.stock = [self.stock[0] - quantities[0], self.stock[1] - quantities[1]];
        self.orders.push(Order {
            placed_at: self.now,
            quantities,
            status: "PENDING",
            payment: "CREATED",
            transaction: None,
            refunds: Vec::new(),
            restocks: false,
        });
        Ok(())
    }

    fn restock(&mut self, order: usize) {
        let quantities = self.orders[order].quantities;
        self.stock = [self.stock[0] + quantities[0], self.stock[1] + quantities[1]];
    }

    /// The customer, an admin or the clock cancels an order.
    pub(super) fn cancel(&mut self, order: usize) -> Outcome {
        if self.orders[order].status != "PENDING" {
            return Err("illegal-transition");
        }
        self.orders[order].status = "CANCELLED";
        self.restock(order);
        Ok(())
    }

    /// An admin sets a status.
    pub(super) fn set_status(&mut self, order: usize, to: &'static str) -> Outcome {
        match (self.orders[order].status, to) {
            (_, "CANCELLED") => return self.cancel(order),
            ("PAID", "SHIPPED") | ("SHIPPED", "DELIVERED") => {}
            _ => return Err("illegal-transition"),
        }
        self.orders[order].status = to;
        Ok(())
    }

    /// Orders that stay unpaid too long are cancelled.
    pub(super) fn expire(&mut self) {
        for order in 0..self.orders.len() {
            let is_due = self.now > self.orders[order].placed_at + PAYMENT_WINDOW;
            if is_due && self.orders[order].status == "PENDING" {
                self.orders[order].status = "CANCELLED";
                self.restock(order);
            }
        }
    }

    /// The provider sends an event: possibly repeated, late or out of order.
    pub(super) fn process(&mut self, event: &PaymentEvent) {
        let order = &mut self.orders[event.order];
        let is_unpaid = ["CREATED", "FAILED"].contains(&order.payment);
        if !event.is_captured {
            if is_unpaid {
                order.payment = "FAILED";
            }
        } else if order.transaction.as_deref() == Some(&event.payment)
            || self.duplicates.contains_key(&event.payment)
        {
            // A repeated event.
        } else if event.amount != order.total() {
            self.unmatched.insert(event.payment.clone());
        } else if !is_unpaid {
            self.unmatched.remove(&event.payment);
            self.duplicates.insert(event.payment.clone(), event.amount);
        } else {
            self.unmatched.remove(&event.payment);
            order.transaction = Some(event.payment.clone());
            order.payment = "CAPTURED";
            match order.status {
                "PENDING" => order.status = "PAID",
                "CANCELLED" => {
                    order.payment = "REFUNDED";
                    order.refunds.push(order.total());
                }
                status => unreachable!("an order that is {status} has been paid"),
            }
        }
    }

    /// An admin refunds an amount, or everything that is left.
    pub(super) fn refund(&mut self, index: usize, amount: Option<i64>, restock: bool) -> Outcome {
        let order = &mut self.orders[index];
        let refundable = order.refundable();
        let amount = amount.unwrap_or(refundable);
        if refundable == 0 || amount > refundable {
            return Err("refund-exceeds-captured");
        }
        order.refunds.push(amount);
        order.restocks |= restock;
        if amount == refundable {
            order.payment = "REFUNDED";
            order.status = "REFUNDED";
            if order.restocks {
                self.restock(index);
            }
        }
        Ok(())
    }
}
