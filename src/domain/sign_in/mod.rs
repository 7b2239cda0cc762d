//! Registration and sign-in of customers, which merge the cart that they filled as guests.

pub mod http;
