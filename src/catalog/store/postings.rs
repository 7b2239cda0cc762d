//! Which products have a word, as bitmaps in the form of <https://github.com/RoaringBitmap/RoaringFormatSpec>,
//! so that what fits is counted by thousands, where an index of words looks at each.
//!
//! Each product has a number here; a row tells of one word and a block of numbers. Common words are in many
//! products, and who changes one product writes their rows: they are only kept where nobody waits for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use roaring::RoaringBitmap;

use crate::{
    args,
    db::{Tx, Value, rows_of},
    error::{Error, Result},
    id::ProductId,
};

/// How many products there are to a row: few enough to be written for one of them, enough to be read at
/// once.
const BLOCK: u32 = 1 << 15;

/// Takes down the words of products in the place of earlier ones; tells by what number each is known, if
/// any is.
pub(super) fn write(tx: &mut Tx<'_>, told: &[(ProductId, &str)]) -> Result<Vec<Option<i64>>> {
    if !tx.writes_alone() {
        return Ok(vec![None; told.len()]);
    }
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
        numbers.push(Some(number));
    }
    changes.write(tx)?;
    Ok(numbers)
}

/// Strikes out a product that had these words.
pub(super) fn remove(tx: &mut Tx<'_>, number: i64, words: &str) -> Result<()> {
    let mut changes = Changes::default();
    changes.note(number, words, "")?;
    changes.write(tx)
}

/// How many products have, for every group, a word that begins with one of its words, and `whole` as it is;
/// counted up to `most`.
pub(super) fn count(
    tx: &mut Tx<'_>,
    groups: &[Vec<String>],
    whole: Option<&str>,
    most: i64,
) -> Result<i64> {
    // From each word to what no word that begins so comes behind.
    let range = |word: &String| (word.clone(), format!("{word}\u{10ffff}"));
    let ranges = |group: &Vec<String>| group.iter().map(range).collect();
    let mut all: Vec<Vec<(String, String)>> = groups.iter().map(ranges).collect();
    all.extend(whole.map(|word| vec![(word.to_owned(), format!("{word} "))]));
    let last: Option<Option<i64>> =
        tx.one("SELECT max(block) FROM postings", &[], |row| row.get(0))?;
    let mut count = 0;
    for block in 0..=last.flatten().unwrap_or(-1) {
        count += fitting(tx, block, &all)?.len().cast_signed();
        if count >= most {
            return Ok(most);
        }
    }
    Ok(count)
}

/// Who in a block has a word in one of the ranges, of each of the groups.
fn fitting(tx: &mut Tx<'_>, block: i64, groups: &[Vec<(String, String)>]) -> Result<RoaringBitmap> {
    let mut fitting: Option<RoaringBitmap> = None;
    for group in groups {
        let mut any = RoaringBitmap::new();
        for (first, behind) in group {
            let sql = "SELECT products FROM postings WHERE block = ?1 AND word >= ?2 AND word < ?3";
            tx.each(sql, args![block, first, behind], |row| {
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

/// The numbers and words of those that are known.
fn known(
    tx: &mut Tx<'_>,
    told: &[(ProductId, &str)],
) -> Result<BTreeMap<ProductId, (i64, String)>> {
    let values: Vec<Value<'_>> = told.iter().map(|(id, _)| Value::from(*id)).collect();
    let sql = format!(
        "SELECT product_id, number, words FROM product_search
         WHERE number IS NOT NULL AND product_id IN {}",
        rows_of(values.len(), 1)
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
            let sql = "SELECT products FROM postings WHERE block = ?1 AND word = ?2";
            let kept = tx.one(sql, args![block, word], |row| bitmap(row.get(0)?))?;
            let products = (kept.unwrap_or_default() - lost) | gained;
            if products.is_empty() {
                let sql = "DELETE FROM postings WHERE block = ?1 AND word = ?2";
                tx.execute(sql, args![block, word])?;
                continue;
            }
            let mut bytes = Vec::with_capacity(products.serialized_size());
            products
                .serialize_into(&mut bytes)
                .map_err(Error::internal)?;
            tx.execute(
                "INSERT INTO postings (block, word, products) VALUES (?1, ?2, ?3)
                 ON CONFLICT (block, word) DO UPDATE SET products = excluded.products",
                args![block, word, Value::Blob(&bytes)],
            )?;
        }
        Ok(())
    }
}

fn bitmap(bytes: &[u8]) -> Result<RoaringBitmap> {
    RoaringBitmap::deserialize_from(io::Cursor::new(bytes)).map_err(Error::internal)
}
