//! What the shop should make of everything, in the plainest words: no database, no provider, one thing
//! after the other. Written from the contract, not from the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What the two products cost.
pub(super) const PRICES: [i64; 2] = [129_900, 30_000];

/// Of each in the beginning; so few that some orders come too late.
pub(super) const STOCK: i64 = 12;

/// How long an order waits for its money.
const WINDOW: Duration = Duration::from_mins(30);

/// What the shop answers: done, or a problem's code.
pub(super) type Word = Result<(), &'static str>;

/// An order and its payment, in the words of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) placed: Duration,
    pub(super) pieces: [i64; 2],
    pub(super) status: &'static str,
    pub(super) payment: &'static str,
    pub(super) transaction: Option<String>,
    pub(super) refunds: Vec<i64>,
    /// Whether any of the refunds asked for the stock.
    restocks: bool,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) now: Duration,
    pub(super) stock: [i64; 2],
    pub(super) orders: Vec<Order>,
    /// The provider's payments that a person must see.
    pub(super) unmatched: BTreeSet<String>,
    /// The provider's payments for orders that were paid before, with their sums: they go back.
    pub(super) duplicates: BTreeMap<String, i64>,
}

/// What the provider says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    pub(super) order: usize,
    pub(super) payment: String,
    pub(super) amount: i64,
    pub(super) is_captured: bool,
}

impl Order {
    pub(super) fn total(&self) -> i64 {
        self.pieces[0] * PRICES[0] + self.pieces[1] * PRICES[1]
    }

    pub(super) fn refunded(&self) -> i64 {
        self.refunds.iter().sum()
    }

    /// What could still go back.
    pub(super) fn rest(&self) -> i64 {
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

    pub(super) fn checkout(&mut self, pieces: [i64; 2]) -> Word {
        if pieces == [0, 0] {
            return Err("cart-empty");
        }
        if pieces[0] > self.stock[0] || pieces[1] > self.stock[1] {
            return Err("insufficient-stock");
        }
        self.stock = [self.stock[0] - pieces[0], self.stock[1] - pieces[1]];
        self.orders.push(Order {
            placed: self.now,
            pieces,
            status: "PENDING",
            payment: "CREATED",
            transaction: None,
            refunds: Vec::new(),
            restocks: false,
        });
        Ok(())
    }

    fn puts_back(&mut self, order: usize) {
        let pieces = self.orders[order].pieces;
        self.stock = [self.stock[0] + pieces[0], self.stock[1] + pieces[1]];
    }

    /// By whoever: customer, admin or clock.
    pub(super) fn cancels(&mut self, order: usize) -> Word {
        if self.orders[order].status != "PENDING" {
            return Err("illegal-transition");
        }
        self.orders[order].status = "CANCELLED";
        self.puts_back(order);
        Ok(())
    }

    /// An admin sets a status.
    pub(super) fn moves(&mut self, order: usize, to: &'static str) -> Word {
        match (self.orders[order].status, to) {
            (_, "CANCELLED") => return self.cancels(order),
            ("PAID", "SHIPPED") | ("SHIPPED", "DELIVERED") => {}
            _ => return Err("illegal-transition"),
        }
        self.orders[order].status = to;
        Ok(())
    }

    /// Orders that waited too long are cancelled.
    pub(super) fn expires(&mut self) {
        for order in 0..self.orders.len() {
            let is_due = self.now > self.orders[order].placed + WINDOW;
            if is_due && self.orders[order].status == "PENDING" {
                self.orders[order].status = "CANCELLED";
                self.puts_back(order);
            }
        }
    }

    /// The provider tells; whether for the first time, in time or in order.
    pub(super) fn hears(&mut self, news: &News) {
        let order = &mut self.orders[news.order];
        let waits = ["CREATED", "FAILED"].contains(&order.payment);
        if !news.is_captured {
            if waits {
                order.payment = "FAILED";
            }
        } else if order.transaction.as_deref() == Some(&news.payment)
            || self.duplicates.contains_key(&news.payment)
        {
            // Known.
        } else if news.amount != order.total() {
            self.unmatched.insert(news.payment.clone());
        } else if !waits {
            self.unmatched.remove(&news.payment);
            self.duplicates.insert(news.payment.clone(), news.amount);
        } else {
            self.unmatched.remove(&news.payment);
            order.transaction = Some(news.payment.clone());
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

    /// An admin gives money back: all that is left, or a sum.
    pub(super) fn refunds(&mut self, order: usize, amount: Option<i64>, restock: bool) -> Word {
        let bought = &mut self.orders[order];
        let rest = bought.rest();
        let amount = amount.unwrap_or(rest);
        if rest == 0 || amount > rest {
            return Err("refund-exceeds-captured");
        }
        bought.refunds.push(amount);
        bought.restocks |= restock;
        if amount == rest {
            bought.payment = "REFUNDED";
            bought.status = "REFUNDED";
            if bought.restocks {
                self.puts_back(order);
            }
        }
        Ok(())
    }
}
