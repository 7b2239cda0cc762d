//! Which products have a word, as bitmaps in the form of <https://github.com/RoaringBitmap/RoaringFormatSpec>,
//! so that what fits is found by thousands, where an index of words looks at each.
//!
//! Each product has a number here; a row tells of one word and a block of numbers. What else lists are
//! narrowed by is marked by words that nobody writes, as `§` is no letter: its category, that it is sold out,
//! and every bit of its price that is one, so that prices are compared bit by bit for a whole block
//! (O'Neil and Quass, Improved Query Performance with Variant Indexes, 1997).
//!
//! Common words are in many products, and who changes one product writes their rows: all this is only kept
//! where nobody waits for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::RangeInclusive,
};

use roaring::RoaringBitmap;

use super::listing::Filters;
use crate::{
    core::{
        error::{Error, Result},
        id::{CategoryId, ProductId},
        money::Price,
    },
    infra::db::{Tx, Value, params, placeholders},
};

/// How many products there are to a row: few enough to be written for one of them, enough to be read at
/// once.
const BLOCK: u32 = 1 << 15;

/// How many bits the highest price has.
const PRICE_BITS: u32 = i64::BITS - Price::MOST.leading_zeros();

const SOLD_OUT: &str = "§0";

/// The mark of a category.
pub(super) fn category(id: CategoryId) -> String {
    format!("§c{}", id.0.simple())
}

/// The mark of a price in which this bit is one.
fn price_bit(bit: u32) -> String {
    format!("§p{bit}")
}

/// The marks of what a product costs and whether there is any, a space between them.
pub(super) fn marks(price: Price, is_sold_out: bool) -> String {
    let ones = (0..PRICE_BITS).filter(|bit| price.get() >> bit & 1 == 1);
    let mut marks: Vec<String> = ones.map(price_bit).collect();
    if is_sold_out {
        marks.push(SOLD_OUT.to_owned());
    }
    marks.join(" ")
}

/// Takes down the words and marks of products in the place of earlier ones; tells the number of each.
pub(super) fn write(tx: &mut Tx<'_>, told: &[(ProductId, String)]) -> Result<Vec<i64>> {
    let known = known(tx, told)?;
    let mut free = first_free(tx)?;
    let mut numbers = Vec::with_capacity(told.len());
    let mut changes = Changes::default();
    for (product, words) in told {
        let (number, before) = known.get(product).map_or_else(
            || {
                free += 1;
                (free - 1, "")
            },
            |(number, words)| (*number, words.as_str()),
        );
        changes.note(number, before, words)?;
        numbers.push(number);
    }
    changes.write(tx)?;
    Ok(numbers)
}

/// Moves a product from some words and marks to others.
pub(super) fn change(tx: &mut Tx<'_>, number: i64, before: &str, after: &str) -> Result<()> {
    let mut changes = Changes::default();
    changes.note(number, before, after)?;
    changes.write(tx)
}

/// Marks a product as sold out, or not any more.
pub(super) fn sold_out(tx: &mut Tx<'_>, product: ProductId, is_sold_out: bool) -> Result<()> {
    let sql = "SELECT number, marks FROM product_search WHERE product_id = ?1";
    let known = tx.one(sql, params![product], |row| {
        Ok((row.get(0)?, row.get::<String>(1)?))
    })?;
    // Orders put back what has left the catalog, too.
    let Some((Some(number), before)) = known else {
        return Ok(());
    };
    let marks = before.split(' ').filter(|mark| *mark != SOLD_OUT);
    let marks: Vec<&str> = marks.chain(is_sold_out.then_some(SOLD_OUT)).collect();
    let marks = marks.join(" ");
    let sql = "UPDATE product_search SET marks = ?2 WHERE product_id = ?1";
    tx.execute(sql, params![product, &marks])?;
    change(tx, number, &before, &marks)
}

/// Who is looked for.
pub(super) struct Wanted {
    /// For every group a word from one of its ranges.
    groups: Vec<Vec<(String, String)>>,
    prices: Option<RangeInclusive<i64>>,
    in_stock: Option<bool>,
}

impl Wanted {
    /// Who has, for every group, a word that begins with one of its words.
    pub(super) fn new(groups: &[Vec<String>]) -> Wanted {
        let range = |word: &String| (word.clone(), format!("{word}\u{10ffff}"));
        let ranges = |group: &Vec<String>| group.iter().map(range).collect();
        Wanted {
            groups: groups.iter().map(ranges).collect(),
            prices: None,
            in_stock: None,
        }
    }

    /// And is in this category, and fits the prices and stock that are asked.
    pub(super) fn narrowed(mut self, filters: &Filters, category: Option<&str>) -> Wanted {
        let mark = category.map(|mark| vec![(mark.to_owned(), format!("{mark} "))]);
        self.groups.extend(mark);
        let (least, most) = (filters.min_price, filters.max_price);
        self.prices = least
            .or(most)
            .map(|_| least.unwrap_or(0)..=most.unwrap_or(i64::MAX));
        self.in_stock = filters.in_stock;
        self
    }

    /// Finds them, block after block, until there are `most`.
    pub(super) fn find(&self, tx: &mut Tx<'_>, most: i64) -> Result<Found> {
        let last: Option<Option<i64>> =
            tx.one("SELECT max(block) FROM postings", &[], |row| row.get(0))?;
        let mut found = Found::default();
        for block in 0..=last.flatten().unwrap_or(-1) {
            let with_words = self.with_words(tx, block)?;
            found.with_words += with_words.len().cast_signed();
            let fitting = self.narrow(tx, block, with_words)?;
            found.count += fitting.len().cast_signed();
            found.blocks.push(fitting);
            if found.count >= most {
                found.count = most;
                break;
            }
        }
        Ok(found)
    }

    /// Who in a block has the words and the category.
    fn with_words(&self, tx: &mut Tx<'_>, block: i64) -> Result<RoaringBitmap> {
        let mut fitting: Option<RoaringBitmap> = None;
        for group in &self.groups {
            let mut any = RoaringBitmap::new();
            for (first, behind) in group {
                let sql =
                    "SELECT products FROM postings WHERE block = ?1 AND word >= ?2 AND word < ?3";
                tx.each(sql, params![block, first, behind], |row| {
                    any |= bitmap(row.get(0)?)?;
                    Ok(())
                })?;
            }
            let both = match fitting {
                Some(fitting) => fitting & any,
                None => any,
            };
            if both.is_empty() {
                return Ok(both);
            }
            fitting = Some(both);
        }
        Ok(fitting.unwrap_or_default())
    }

    /// Those of them that fit the rest.
    fn narrow(
        &self,
        tx: &mut Tx<'_>,
        block: i64,
        mut fitting: RoaringBitmap,
    ) -> Result<RoaringBitmap> {
        if fitting.is_empty() {
            return Ok(fitting);
        }
        match self.in_stock {
            Some(true) => fitting -= kept(tx, block, SOLD_OUT)?,
            Some(false) => fitting &= kept(tx, block, SOLD_OUT)?,
            None => {}
        }
        match &self.prices {
            Some(prices) => priced(tx, block, prices, fitting),
            None => Ok(fitting),
        }
    }
}

/// Those of a block's products that cost so much.
fn priced(
    tx: &mut Tx<'_>,
    block: i64,
    prices: &RangeInclusive<i64>,
    mut products: RoaringBitmap,
) -> Result<RoaringBitmap> {
    let (least, most) = (*prices.start(), *prices.end());
    if least > Price::MOST {
        return Ok(RoaringBitmap::new());
    }
    if least > Price::LEAST {
        let (above, same) = compared(tx, block, least, products)?;
        products = above | same;
    }
    if most < Price::MOST {
        let (above, _) = compared(tx, block, most, products.clone())?;
        products -= above;
    }
    Ok(products)
}

/// Those of a block's products that cost more than a limit, and those that cost as much.
fn compared(
    tx: &mut Tx<'_>,
    block: i64,
    limit: i64,
    products: RoaringBitmap,
) -> Result<(RoaringBitmap, RoaringBitmap)> {
    let (mut above, mut same) = (RoaringBitmap::new(), products);
    // From the highest bit on, while any are as the limit is so far.
    for bit in (0..PRICE_BITS).rev() {
        if same.is_empty() {
            break;
        }
        let ones = kept(tx, block, &price_bit(bit))?;
        if limit >> bit & 1 == 1 {
            same &= ones;
        } else {
            above |= &same & &ones;
            same -= ones;
        }
    }
    Ok((above, same))
}

/// Who was found.
#[derive(Default)]
pub(super) struct Found {
    /// How many, up to as many as were asked for.
    pub(super) count: i64,
    /// How many were looked at for that: who has the words and the category.
    pub(super) with_words: i64,
    blocks: Vec<RoaringBitmap>,
}

impl Found {
    /// The numbers of all, as a JSON array.
    pub(super) fn numbers(&self) -> String {
        let blocks = self.blocks.iter().zip(0..);
        let numbers: Vec<String> = blocks
            .flat_map(|(places, block): (_, u32)| {
                places.iter().map(move |place| block * BLOCK + place)
            })
            .map(|number| number.to_string())
            .collect();
        format!("[{}]", numbers.join(","))
    }
}

/// Who in a block has a word.
fn kept(tx: &mut Tx<'_>, block: i64, word: &str) -> Result<RoaringBitmap> {
    let sql = "SELECT products FROM postings WHERE block = ?1 AND word = ?2";
    let kept = tx.one(sql, params![block, word], |row| bitmap(row.get(0)?))?;
    Ok(kept.unwrap_or_default())
}

/// The numbers of those that are known, with their words and marks.
fn known(
    tx: &mut Tx<'_>,
    told: &[(ProductId, String)],
) -> Result<BTreeMap<ProductId, (i64, String)>> {
    let values: Vec<Value<'_>> = told.iter().map(|(id, _)| Value::from(*id)).collect();
    let sql = format!(
        "SELECT product_id, number, words || ' ' || marks FROM product_search
         WHERE number IS NOT NULL AND product_id IN {}",
        placeholders(values.len(), 1)
    );
    let rows = tx.all(&sql, &values, |row| {
        Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
    })?;
    Ok(rows.into_iter().collect())
}

fn first_free(tx: &mut Tx<'_>) -> Result<i64> {
    let sql = "SELECT max(number) FROM product_search WHERE number IS NOT NULL";
    let last: Option<Option<i64>> = tx.one(sql, &[], |row| row.get(0))?;
    Ok(last.flatten().map_or(0, |last| last + 1))
}

/// By block and word: who gets it, and who loses it.
#[derive(Default)]
struct Changes<'a>(BTreeMap<(i64, &'a str), [RoaringBitmap; 2]>);

impl<'a> Changes<'a> {
    fn note(&mut self, number: i64, before: &'a str, after: &'a str) -> Result<()> {
        let number = u32::try_from(number).map_err(Error::internal)?;
        let (block, place) = (i64::from(number / BLOCK), number % BLOCK);
        let [before, after] =
            [before, after].map(|words| words.split_ascii_whitespace().collect::<BTreeSet<&str>>());
        let gained = after.difference(&before).map(|word| (word, 0));
        let lost = before.difference(&after).map(|word| (word, 1));
        for (word, which) in gained.chain(lost) {
            self.0.entry((block, word)).or_default()[which].insert(place);
        }
        Ok(())
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<()> {
        for ((block, word), [gained, lost]) in self.0 {
            let products = (kept(tx, block, word)? - lost) | gained;
            if products.is_empty() {
                let sql = "DELETE FROM postings WHERE block = ?1 AND word = ?2";
                tx.execute(sql, params![block, word])?;
                continue;
            }
            let mut bytes = Vec::with_capacity(products.serialized_size());
            products
                .serialize_into(&mut bytes)
                .map_err(Error::internal)?;
            tx.execute(
                "INSERT INTO postings (block, word, products) VALUES (?1, ?2, ?3)
                 ON CONFLICT (block, word) DO UPDATE SET products = excluded.products",
                params![block, word, Value::Blob(&bytes)],
            )?;
        }
        Ok(())
    }
}

fn bitmap(bytes: &[u8]) -> Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(io::Cursor::new(bytes)).map_err(Error::internal)
}
