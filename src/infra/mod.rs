//! Infrastructure without domain logic: database, event bus, HTTP, external services, configuration.

pub mod audit;
pub mod backup;
pub mod bus;
pub mod config;
pub mod db;
pub mod file_modes;
pub mod jobs;
pub mod metrics;
pub mod outbox;
pub mod ports;
pub mod traces;
pub mod web;
