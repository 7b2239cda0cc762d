//! The terms that are indexed of a product.
//!
//! A word of the name is a term. A word that only the description has is another, so that the bitmaps also find the
//! products with a word in the name. What lists filter and sort by is indexed as *filter terms*: the category, sold out,
//! the first two letters of the name, and the first digits of the price, from one digit to all. A range of prices is the
//! union of few such terms (a trie, as for Lucene's `NumericRangeQuery`: Schindler and Diepenbroek, Generic XML-based
//! Framework for Metadata Portals, 2008). Only words of names are terms without `§`, which is not a letter.

use std::ops::RangeInclusive;

use crate::{
    core::{id::CategoryId, money::Price},
    domain::catalog::search::entry::FilterAttributes,
};

/// A half-open range of terms.
pub(super) type TermRange = (String, String);

/// Returns the range with one term.
pub(super) fn one(term: &str) -> TermRange {
    (term.to_owned(), format!("{term} "))
}

/// Returns the terms of names with a word that starts with a prefix, and those of descriptions.
pub(super) fn with_prefix(prefix: &str) -> [TermRange; 2] {
    [prefix.to_owned(), description_term(prefix)].map(|from| {
        let to = format!("{from}\u{10ffff}");
        (from, to)
    })
}

fn description_term(word: &str) -> String {
    format!("§w{word}")
}

/// Returns all terms of a product, separated by spaces, by what is stored of it. `words` begins with the words of the
/// name.
pub(super) fn terms(name_words: &str, words: &str, filter_terms: &str) -> String {
    let in_name = name_words.split_ascii_whitespace().count();
    let others = words.split_ascii_whitespace().skip(in_name);
    let mut terms = format!("{name_words} {filter_terms}");
    for word in others {
        terms.push(' ');
        terms.push_str(&description_term(word));
    }
    terms
}

/// The filter term of a product that is sold out.
pub(super) const SOLD_OUT: &str = "§0";

/// Returns the filter term of a category.
pub(super) fn category_term(id: CategoryId) -> String {
    format!("§c{}", id.0.simple())
}

/// Returns the filter terms of a product, separated by spaces.
pub(super) fn filter_terms(name_key: &str, attributes: FilterAttributes) -> String {
    let price = attributes.price.get().to_string();
    let mut terms: Vec<String> = (1..=price.len())
        .map(|digits| price_term(&price, digits))
        .collect();
    terms.push(name_bucket(name_key));
    terms.extend(attributes.category.map(category_term));
    if attributes.is_sold_out {
        terms.push(SOLD_OUT.to_owned());
    }
    terms.join(" ")
}

/// The space in a term, and after a name of one letter. It sorts before all letters, and names do not have it.
const SPACE: char = '\u{1}';

/// Returns the term of all names with the same first two letters. Terms are in the order of the names.
pub(super) fn name_bucket(name_key: &str) -> String {
    let letters = name_key.chars().chain([SPACE, SPACE]).take(2);
    let letters: String = letters
        .map(|letter| if letter == ' ' { SPACE } else { letter })
        .collect();
    format!("{NAME_BUCKET}{letters}")
}

const NAME_BUCKET: &str = "§n";

/// Returns the terms of all names.
pub(super) fn name_buckets() -> TermRange {
    (NAME_BUCKET.to_owned(), "§o".to_owned())
}

/// Returns the half-open range of the names that have a term.
pub(super) fn names_in_bucket(term: &str) -> (String, String) {
    let letters = term.strip_prefix(NAME_BUCKET).unwrap_or_default();
    let from = letters.trim_end_matches(SPACE).to_owned();
    let to = format!("{}\u{10ffff}", letters.replace(SPACE, " "));
    (from, to)
}

/// Returns the term of all prices with the same number of digits and the same first two.
pub(super) fn price_bucket(price: i64) -> String {
    let price = price.clamp(Price::MIN, Price::MAX).to_string();
    price_term(&price, price.len().min(BUCKET_DIGITS))
}

const BUCKET_DIGITS: usize = 2;

/// Returns the terms of all prices in a range, in ascending order.
pub(super) fn price_buckets(prices: Option<&RangeInclusive<i64>>) -> Vec<TermRange> {
    let (first, last) = prices.map_or((Price::MIN, Price::MAX), |prices| {
        (*prices.start(), *prices.end())
    });
    let two_digits = 10;
    let mut ranges = Vec::with_capacity(2);
    if first < two_digits {
        ranges.push((price_bucket(first), one(&price_bucket(last.min(9))).1));
    }
    if last >= two_digits {
        ranges.push((
            price_bucket(first.max(two_digits)),
            one(&price_bucket(last)).1,
        ));
    }
    ranges
}

/// Returns the prices that have a term of [`price_bucket`].
pub(super) fn prices_in_bucket(term: &str) -> RangeInclusive<i64> {
    let digits: String = term.chars().skip(4).collect();
    let len = term
        .chars()
        .nth(3)
        .and_then(|len| len.to_digit(16))
        .unwrap_or(1);
    let first: i64 = digits.parse().unwrap_or_default();
    let zeros = len.saturating_sub(u32::try_from(digits.len()).unwrap_or(len));
    let size = 10_i64.pow(zeros);
    first * size..=(first + 1) * size - 1
}

/// Returns the filter term of all prices with the same number of digits that begin with the first digits of `price`.
/// Terms for the same number of first digits are in the order of the prices.
fn price_term(price: &str, first_digits: usize) -> String {
    format!(
        "§p{first_digits:x}{:x}{}",
        price.len(),
        &price[..first_digits]
    )
}

/// Returns half-open ranges of filter terms that together have the prices in a range.
pub(super) fn price_terms(prices: &RangeInclusive<i64>) -> Vec<TermRange> {
    // Without a limit, the range ends with the largest number of that many digits, to need no terms of its own.
    let end = match *prices.end() {
        max if max < Price::MAX => max + 1,
        _ => 10 * Price::MAX,
    };
    let mut start = (*prices.start()).max(Price::MIN);
    let mut ranges: Vec<(usize, String, String)> = Vec::new();
    while start < end {
        // How many prices from `start` on share their first digits and are in the range.
        let mut size = 1;
        while start % (size * 10) == 0 && start >= size * 10 && start + size * 10 <= end {
            size *= 10;
        }
        let first_digits = first_digits(start, size);
        let term = price_term(&start.to_string(), first_digits);
        let after = format!("{term} ");
        match ranges.last_mut() {
            Some((digits, _, end)) if *digits == first_digits => *end = after,
            _ => ranges.push((first_digits, term, after)),
        }
        start += size;
    }
    let terms = ranges.into_iter();
    terms.map(|(_, first, end)| (first, end)).collect()
}

/// Returns how many first digits `size` prices from `start` on share; it is a power of ten, and `start` a multiple.
fn first_digits(start: i64, size: i64) -> usize {
    (start.ilog10() - size.ilog10() + 1) as usize
}
