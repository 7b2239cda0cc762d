//! Normalizes texts that are compared, sorted or searched: removes case, accents and invisible characters.
//! Normalized texts are stored, so that every database compares and sorts them alike.

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed, props};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::core::error::Result;

/// The version of normalization. Increase it whenever [`normalize`], the tokenizer or their Unicode data change:
/// the next start rewrites all stored normalized texts and search entries.
///
/// Its older name is *folding*: the column `product_search.folding` is the version of one entry, the setting
/// `folding` that of everything stored.
pub(super) const VERSION: i64 = 2;

const CASE_MAPPER: CaseMapperBorrowed<'static> = CaseMapper::new();

const IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<props::DefaultIgnorableCodePoint>();

/// Returns the text without case (Unicode full case folding), accents, strokes, ligatures, invisible
/// characters and redundant white space.
pub fn normalize(text: &str) -> String {
    if text.is_ascii() {
        // Fast path for most texts.
        return collapse_spaces(&text.to_ascii_lowercase());
    }
    // The first pass handles mappings that depend on a combining mark (`ᾳ`), the second the capitals that a
    // compatibility decomposition produces (`ℌ`).
    let decomposed: String = CASE_MAPPER
        .fold_string(text)
        .nfkd()
        .filter(|c| !is_accent(*c) && !IGNORABLE.contains(*c))
        .collect();
    let mut plain = String::with_capacity(decomposed.len());
    for c in CASE_MAPPER.fold_string(&decomposed).chars() {
        match base_letters(c) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(c),
        }
    }
    let plain: String = plain.nfc().collect();
    collapse_spaces(&plain)
}

/// Returns the text without case, invisible characters and redundant white space, in normalization form NFKC
/// (`NFKC_Casefold` of Unicode): for SKUs and options. Accents are significant.
pub(super) fn case_fold(text: &str) -> String {
    let composed: String = text.nfkc().filter(|c| !IGNORABLE.contains(*c)).collect();
    let folded: String = CASE_MAPPER.fold_string(&composed).nfkc().collect();
    collapse_spaces(&folded)
}

fn collapse_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether a character is a combining mark of Latin, Greek or Cyrillic letters. Marks of other
/// scripts are significant: a Hindi word without its vowel signs is another word.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Returns the base letters of a lower-case letter with a stroke or hook, or of a ligature. Unicode does not
/// decompose them; the mapping is that of CLDR's `Latin-ASCII` transform.
fn base_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ⱥ' => "a",
        'ƀ' | 'ɓ' | 'ƃ' => "b",
        'ȼ' | 'ƈ' => "c",
        'đ' | 'ð' | 'ɖ' | 'ɗ' | 'ƌ' => "d",
        'ɇ' => "e",
        'ƒ' => "f",
        'ǥ' | 'ɠ' => "g",
        'ħ' | 'ⱨ' => "h",
        'ı' | 'ɨ' | 'ɩ' => "i",
        'ɉ' => "j",
        'ƙ' | 'ⱪ' | 'ĸ' => "k",
        'ł' | 'ƚ' | 'ɫ' | 'ⱡ' => "l",
        'ŋ' | 'ɲ' | 'ƞ' => "n",
        'ø' | 'ɵ' => "o",
        'ᵽ' | 'ƥ' => "p",
        'ɋ' | 'ʠ' => "q",
        'ɍ' | 'ɽ' => "r",
        'ȿ' => "s",
        'ŧ' | 'ⱦ' | 'ƭ' | 'ʈ' => "t",
        'ʉ' => "u",
        'ʋ' => "v",
        'ⱳ' => "w",
        'ɏ' | 'ƴ' => "y",
        'ƶ' | 'ȥ' | 'ɀ' | 'ⱬ' => "z",
        _ => return None,
    })
}

/// Returns whether a character can be part of a word.
pub(super) fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Returns the slug of a text, with a number if others have it.
pub(super) fn unused_slug(
    text: &str,
    mut is_taken: impl FnMut(&str) -> Result<bool>,
) -> Result<String> {
    let base = slug(text);
    let mut unused = base.clone();
    let mut next = 2;
    while is_taken(&unused)? {
        unused = format!("{base}-{next}");
        next += 1;
    }
    Ok(unused)
}

/// Returns the text as a path segment: normalized letters and digits, joined by hyphens.
pub(super) fn slug(text: &str) -> String {
    let normalized = normalize(text);
    let words = normalized
        .split(|c: char| !is_letter(c))
        .filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() {
        "item".to_owned()
    } else {
        slug
    }
}
