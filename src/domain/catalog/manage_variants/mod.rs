//! Creates, updates and deletes variants, and sets the options of products.

mod create;
mod delete;
mod set_options;
mod update;

pub(super) use self::update::recompute_sku_keys;
pub use self::{
    create::create_variant, delete::delete_variant, set_options::set_options,
    update::update_variant,
};
