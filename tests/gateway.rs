//! The payment provider: what the driver asks of it, what it believes, and what it makes of refusals.

mod driver;
mod settings;
mod shop;
