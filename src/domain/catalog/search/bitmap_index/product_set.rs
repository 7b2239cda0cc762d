//! A set of product numbers.

use std::{
    fmt::{Display, Write},
    io,
    ops::{BitAndAssign, BitOrAssign, SubAssign},
};

use roaring::RoaringBitmap;

use super::BLOCK_SIZE;
use crate::core::error::{Error, Result};

/// A set of product numbers: a bitmap for each block.
#[derive(Debug, Clone, Default)]
pub(super) struct ProductSet(pub(super) Vec<RoaringBitmap>);

impl ProductSet {
    pub(super) fn new(numbers: &[i64]) -> Result<ProductSet> {
        let mut blocks: Vec<RoaringBitmap> = Vec::new();
        for number in numbers {
            let (block, offset) = position(*number)?;
            if block >= blocks.len() {
                blocks.resize_with(block + 1, RoaringBitmap::new);
            }
            blocks[block].insert(offset);
        }
        Ok(ProductSet(blocks))
    }

    pub(super) fn len(&self) -> i64 {
        let len: u64 = self.0.iter().map(RoaringBitmap::len).sum();
        len.cast_signed()
    }

    pub(super) fn contains(&self, number: i64) -> bool {
        let Ok((block, offset)) = position(number) else {
            return false;
        };
        let products = self.0.get(block);
        products.is_some_and(|products| products.contains(offset))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(RoaringBitmap::is_empty)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Sets the products of a block that is not there yet.
    pub(super) fn insert_block(&mut self, block: usize, products: RoaringBitmap) {
        if block >= self.0.len() {
            self.0.resize_with(block + 1, RoaringBitmap::new);
        }
        self.0[block] = products;
    }

    /// Returns the products of a block that a serialized bitmap has, too.
    pub(super) fn intersection(&self, block: usize, bytes: &[u8]) -> Result<RoaringBitmap> {
        let Some(products) = self.0.get(block) else {
            return Ok(RoaringBitmap::new());
        };
        products
            .intersection_with_serialized_unchecked(io::Cursor::new(bytes))
            .map_err(Error::internal)
    }

    /// Removes all but these. The set starts with this block.
    pub(super) fn keep_only(&mut self, numbers: &[i64], first_block: i64) -> Result<()> {
        let first_block = usize::try_from(first_block).map_err(Error::internal)?;
        let kept = ProductSet::new(numbers)?;
        for (at, products) in self.0.iter_mut().enumerate() {
            match kept.0.get(first_block + at) {
                Some(kept) => *products &= kept,
                None => products.clear(),
            }
        }
        Ok(())
    }

    /// Returns the product numbers as a JSON array, in ascending order.
    pub(super) fn to_json(&self) -> String {
        let blocks = self.0.iter().zip(0..);
        json_array(blocks.flat_map(|(products, block): (_, u32)| {
            products
                .iter()
                .map(move |offset| block * BLOCK_SIZE + offset)
        }))
    }
}

impl BitAndAssign<&ProductSet> for ProductSet {
    fn bitand_assign(&mut self, other: &ProductSet) {
        self.0.truncate(other.0.len());
        for (products, others) in self.0.iter_mut().zip(&other.0) {
            *products &= others;
        }
    }
}

impl BitOrAssign<&ProductSet> for ProductSet {
    fn bitor_assign(&mut self, other: &ProductSet) {
        let blocks = self.0.len().max(other.0.len());
        self.0.resize_with(blocks, RoaringBitmap::new);
        for (products, others) in self.0.iter_mut().zip(&other.0) {
            *products |= others;
        }
    }
}

impl SubAssign<&ProductSet> for ProductSet {
    fn sub_assign(&mut self, other: &ProductSet) {
        for (products, others) in self.0.iter_mut().zip(&other.0) {
            *products -= others;
        }
    }
}

/// Returns the block of a product number, and the offset in it.
pub(super) fn position(number: i64) -> Result<(usize, u32)> {
    let number = u32::try_from(number).map_err(Error::internal)?;
    let block = usize::try_from(number / BLOCK_SIZE).map_err(Error::internal)?;
    Ok((block, number % BLOCK_SIZE))
}

/// Returns product numbers as a JSON array.
pub(super) fn json_array(numbers: impl IntoIterator<Item = impl Display>) -> String {
    let mut json = String::from("[");
    for number in numbers {
        let separator = if json.len() == 1 { "" } else { "," };
        // Writing into a `String` cannot fail.
        let _ = write!(json, "{separator}{number}");
    }
    json.push(']');
    json
}

pub(super) fn parse(bytes: &[u8]) -> Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(io::Cursor::new(bytes)).map_err(Error::internal)
}
