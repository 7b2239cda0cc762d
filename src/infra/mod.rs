//! The machinery below the shop: database, HTTP, external services, configuration. Nothing here knows
//! a domain.

pub mod bus;
pub mod config;
pub mod db;
pub mod file_modes;
pub mod jobs;
pub mod ports;
pub mod web;
