//! Cells that a spreadsheet would run as a formula. One gets an apostrophe in front, by which spreadsheets
//! mark text, and loses it again when it is imported
//! (<https://owasp.org/www-community/attacks/CSV_Injection>).

use std::borrow::Cow;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

const MARK: char = '\'';

/// The characters that begin a formula, or that spreadsheets drop before they look for one; the full-width
/// forms are taken for the others in some countries. With the mark itself, no text is changed by an
/// export and an import.
const BEGINNINGS: [char; 13] = [
    '=', '+', '-', '@', '\t', '\r', '\n', MARK, '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    '\u{ff07}',
];

/// The text as a cell that no spreadsheet runs.
pub(super) fn mark(text: &str) -> Cow<'_, str> {
    if is_formula(text) {
        Cow::Owned(format!("{MARK}{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The text of a cell, the inverse of [`mark`].
pub(super) fn unmark(cell: &str) -> &str {
    cell.strip_prefix(MARK)
        .filter(|text| is_formula(text))
        .unwrap_or(cell)
}

/// Whether the first visible character, or one of those before it, begins a formula.
fn is_formula(text: &str) -> bool {
    for c in text.chars() {
        if BEGINNINGS.contains(&c) {
            return true;
        }
        if !is_invisible(c) {
            return false;
        }
    }
    false
}

/// Blanks, control and format characters, and what else most fonts show as nothing
/// (`Default_Ignorable_Code_Point`, and two fillers that are blank).
fn is_invisible(c: char) -> bool {
    let group = c.general_category_group();
    matches!(
        group,
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Other
    ) || matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}
