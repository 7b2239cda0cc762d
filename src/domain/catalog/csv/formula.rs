//! Protection against formula injection (<https://owasp.org/www-community/attacks/CSV_Injection>). An export
//! prefixes cells that a spreadsheet would run with an apostrophe, which marks text; an import removes it.

use std::borrow::Cow;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

const TEXT_MARKER: char = '\'';

/// The characters that start a formula, or that spreadsheets drop before they look for one. Some locales
/// treat the full-width forms alike. The marker itself is included, so that an export and import changes no
/// text.
const FORMULA_STARTS: [char; 13] = [
    '=',
    '+',
    '-',
    '@',
    '\t',
    '\r',
    '\n',
    TEXT_MARKER,
    '\u{ff1d}',
    '\u{ff0b}',
    '\u{ff0d}',
    '\u{ff20}',
    '\u{ff07}',
];

/// Returns the text as a cell that no spreadsheet runs.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if is_formula(text) {
        Cow::Owned(format!("{TEXT_MARKER}{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the text of a cell: the inverse of [`escape`].
pub(super) fn unescape(cell: &str) -> &str {
    cell.strip_prefix(TEXT_MARKER)
        .filter(|text| is_formula(text))
        .unwrap_or(cell)
}

/// Returns whether the first visible character, or an invisible one before it, starts a formula.
fn is_formula(text: &str) -> bool {
    for c in text.chars() {
        if FORMULA_STARTS.contains(&c) {
            return true;
        }
        if !is_invisible(c) {
            return false;
        }
    }
    false
}

/// Spaces, control and format characters, and others that most fonts do not show
/// (`Default_Ignorable_Code_Point`, and two blank fillers).
fn is_invisible(c: char) -> bool {
    let group = c.general_category_group();
    matches!(
        group,
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Other
    ) || matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}
