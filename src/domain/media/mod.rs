//! Product images: uploads are identified by content, re-encoded without metadata and stored under random
//! keys.
//!
//! Two rules protect the shop: a file that cannot be decoded is never stored, and only files that the shop
//! encoded itself are served.
//!
//! An upload goes through these steps:
//! 1. `http::MultipartForm` spools the files of a form to the disk.
//! 2. [`store_images`] re-encodes them with `image`, schedules their deletion and puts them into the image store.
//! 3. [`attach()`] links them to a product and cancels the deletion, in the transaction that saves the product.
//!
//! If step 3 never happens, the deletion removes the files from the image store.

mod attach;
mod deletion;
mod deletion_queue;
pub mod http;
mod image;
mod limits;
pub mod problems;
mod product_image;
mod store;
mod upload;
mod uploaded_image;
mod verify;
pub mod worker;

pub use self::{
    attach::{attach, detach, detach_all, images_json},
    deletion::{DELETE_IMAGE, UPLOAD_TIMEOUT},
    deletion_queue::retry_deletion,
    limits::{MAX_IMAGES_PER_PRODUCT, MAX_STORED_SIZE, MAX_UPLOAD_SIZE},
    product_image::{IMAGE_FILES, Image, parse_images},
    upload::{delete_uploaded, store_images, store_images_until},
    uploaded_image::{ImageUpload, UploadedImage},
    verify::{PRODUCT_IMAGES_CHECK, verify},
};
