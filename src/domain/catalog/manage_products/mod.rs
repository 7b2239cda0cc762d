//! Creates, updates and deletes products.

mod create;
mod create_with_variants;
mod delete;
mod update;

pub(super) use self::update::copy_images;
pub use self::{
    create::{create, create_all},
    create_with_variants::create_with_variants,
    delete::delete,
    update::{remove_image, update},
};
