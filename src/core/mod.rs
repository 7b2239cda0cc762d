//! Value types without I/O: ids, money, timestamps, errors and their problem types, events, settings and
//! pagination. Every layer imports them.

pub mod audit;
pub mod backoff;
pub mod clock;
pub mod column;
pub mod error;
pub mod event;
pub mod finding;
pub mod id;
pub mod money;
pub mod pagination;
pub mod problem;
pub mod rng;
pub mod shop_settings;
pub mod text;
