//! The one folding of texts that are compared, sorted or searched: without case, accents and invisible
//! characters. Folded texts are stored, so that every database compares and sorts alike.

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed, props};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The version of everything that is stored in folded form. Raise it with each change of [`fold`] or of
/// [`super::words`], and with each update of their Unicode data: the next start recomputes what is stored.
pub(super) const VERSION: i64 = 2;

const CASES: CaseMapperBorrowed<'static> = CaseMapper::new();

const IGNORABLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<props::DefaultIgnorableCodePoint>();

/// Returns `text` without case (Unicode's full case folding), accents, strokes, ligatures, invisible
/// characters and surplus space.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        // Most texts: nothing but capitals is to be folded.
        return without_surplus_space(&text.to_ascii_lowercase());
    }
    // The first pass sees marks that a mapping depends on (`ᾳ`), the second the capitals that a
    // compatibility decomposition leaves (`ℌ`).
    let decomposed: String = CASES
        .fold_string(text)
        .nfkd()
        .filter(|c| !is_accent(*c) && !IGNORABLE.contains(*c))
        .collect();
    let mut plain = String::with_capacity(decomposed.len());
    for c in CASES.fold_string(&decomposed).chars() {
        match base_letters(c) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(c),
        }
    }
    let plain: String = plain.nfc().collect();
    without_surplus_space(&plain)
}

fn without_surplus_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The marks that Latin, Greek and Cyrillic letters carry. Those of other scripts are letters of
/// their own: without its vowel signs a Hindi word is another word.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// The plain letters of a small letter with a stroke or hook, or of a ligature. Unicode decomposes none
/// of them; the choice is that of CLDR's `Latin-ASCII` transform.
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

/// Whether words consist of such characters.
pub(super) fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// `text` as a part of a path: folded letters and digits, joined by hyphens.
pub(super) fn slug(text: &str) -> String {
    let folded = fold(text);
    let words = folded
        .split(|c: char| !is_letter(c))
        .filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() {
        "item".to_owned()
    } else {
        slug
    }
}
