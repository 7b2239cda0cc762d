//! One shop, whatever keeps its data: the same schema, the same answers, and nothing lost where
//! many come at once.

mod contention;
mod rng;
mod schemas;
mod twin;
