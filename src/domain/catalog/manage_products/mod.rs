//! Creates, updates and deletes products.

mod create;
mod delete;
mod update;

pub(super) use self::update::copy_images;
pub use self::{
    create::{create, create_all},
    delete::delete,
    update::{remove_image, update},
};
