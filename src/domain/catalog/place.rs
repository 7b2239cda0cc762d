//! Where a name stands among all others, as a number that an index can be kept in the order of.
//!
//! Roughly: by the first letters, as many as there is room for. Those that begin alike are neighbours, and
//! whoever needs their order compares the names.

use std::ops::RangeInclusive;

use crate::core::id::ProductId;

/// A key's lower bits tell those apart that begin alike: four million of them.
const APART: u32 = 22;

/// Its upper bits are the letters.
const LETTERS: u32 = 63 - APART;

/// Below it stand the keys that an engine drew, from before names had places: no name is empty.
pub(super) const FIRST: i64 = 1 << APART;

/// The key of a product whose folded name is this, if it is free.
pub(super) fn key(folded: &str, product: ProductId) -> i64 {
    let random = product.0.as_u64_pair().1;
    letters(folded) | (i64::from_ne_bytes(random.to_ne_bytes()) & (FIRST - 1))
}

/// The next key to try, among those of names that begin alike.
pub(super) fn next(key: i64) -> i64 {
    let apart = FIRST - 1;
    (key & !apart) | ((key + 1) & apart)
}

/// The keys of names that begin as this key's does.
pub(super) fn alike(key: i64) -> RangeInclusive<i64> {
    let apart = FIRST - 1;
    (key & !apart)..=(key | apart)
}

/// The first letters, in five bits each where they are the usual ones. Numbers are in the order of the
/// letters, and nothing stands before all of them.
fn letters(folded: &str) -> i64 {
    let (mut place, mut left) = (0, LETTERS);
    for letter in folded.chars() {
        let code = i64::from(u32::from(letter));
        let in_full = |class: i64| (21, (class << 16) | code.min(0xffff));
        let (bits, number) = match letter {
            '\0'..='\u{1f}' => in_full(1),
            ' ' => (5, 2),
            '!'..='/' => in_full(3),
            '0'..='9' => (9, (4 << 4) | (code - 0x30)),
            ':'..='`' => in_full(5),
            'a'..='y' => (5, 6 + code - 0x61),
            _ => in_full(31),
        };
        if bits > left {
            return ((place << left) | (number >> (bits - left))) << APART;
        }
        place = (place << bits) | number;
        left -= bits;
        if code >= 0xffff {
            // Not told apart: what follows must not be either.
            break;
        }
    }
    place << left << APART
}
