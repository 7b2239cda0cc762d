//! The catalog: categories, products with their pictures, and how many of each there are to sell.

mod bulk;
mod category;
mod fold;
pub mod http;
mod place;
mod product;
mod refold;
mod repeats;
mod search;
mod sheet;
mod stock;
pub(crate) mod store;
mod verify;
mod words;

pub use self::{
    bulk::{Imported, Survey, create_all, export, import, survey},
    category::{
        Category, CategoryName, CategoryRef, add_category, categories, category_by_name,
        delete_category, rename_category,
    },
    fold::fold,
    product::{
        Changes, Description, NewProduct, Product, ProductName, create, delete, images, list,
        product, product_to_change, remove_image, update,
    },
    refold::{Refolding, begin_refolding, finish_refolding, merge_words, refold_from},
    repeats::delete_expired_sheets,
    sheet::{Fault, Listed, Sheet, Writer},
    stock::{
        Cause, Delta, Line, Movement, Reason, change_stock, insufficient, put_back, shortage,
        take_stock,
    },
    store::{Filters, Reached, Sort},
    verify::{repair, verify},
};
pub use crate::domain::media::Image;
