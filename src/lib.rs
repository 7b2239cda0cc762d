//! An e-commerce backend that is one program.
pub mod clock;
pub mod config;
pub mod error;
pub mod event;
pub mod id;
pub mod money;
pub mod page;

pub mod bus;
pub mod db;
pub mod ports;
pub mod web;

pub mod accounts;
pub mod cart;
pub mod catalog;
pub mod media;
pub mod orders;
pub mod payments;
pub mod realtime;

pub mod cli;
pub mod server;
pub mod worker;
