//! Product images: uploads are identified by content, re-encoded without metadata and stored under random
//! keys.
//!
//! Two rules protect the shop: a file that cannot be decoded is never stored, and only files that the shop
//! encoded itself are served.
//!
//! An upload goes through these steps:
//! 1. `http::Upload` spools the files of a form to the disk.
//! 2. `worker` re-encodes them with `image`, schedules their deletion and puts them into the image store.
//! 3. [`attach()`] links them to a product and cancels the deletion, in the transaction that saves the product.
//!
//! If step 3 never happens, the deletion queue removes the files from the image store.

mod attach;
mod deletion;
mod deletion_queue;
pub mod http;
mod image;
mod limits;
mod product_image;
mod store;
mod upload;
mod verify;
pub mod worker;

pub use self::{
    attach::{attach, detach, detach_all, written},
    deletion_queue::{removal_jobs, retry_removal},
    limits::{IMAGE_LIMIT, MOST_IMAGES, STORED_LIMIT},
    product_image::{Image, shown},
    upload::{Draft, Stored},
    verify::{COPY, verify},
};
