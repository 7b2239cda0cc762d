//! Both storage engines conform: they have the same schema, give the same responses, and lose nothing under
//! concurrent requests.

mod contention;
mod rng;
mod schemas;
mod twin;
