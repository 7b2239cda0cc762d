//! The shop's tests, in one binary: a file for each domain, each test a story told through the
//! public surface.

mod cart;
mod floors;
mod support;
