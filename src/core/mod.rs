//! Values without I/O: ids, money, time, errors, and the rules that hold for them everywhere.

pub mod clock;
pub mod error;
pub mod event;
pub mod finding;
pub mod id;
pub mod money;
pub mod pagination;
pub mod rng;
pub mod text;
