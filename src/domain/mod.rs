//! The shop: one folder for each noun. In a folder, `store/` holds the SQL, `http/` the routes, and the
//! other files types and operations.

pub mod accounts;
pub mod audit;
pub mod cart;
pub mod catalog;
pub mod media;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod realtime;
pub mod settlement;
pub mod sign_in;
