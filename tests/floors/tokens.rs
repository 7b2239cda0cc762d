//! Rust's text cut into tokens, as far as `floors` needs it: comments gone, layout gone, what
//! stands in a literal apart from code. It knows no nested block comments.

/// Statements in capitals that more text follows: `"DELETE"` alone is a method.
const SQL: &str = "ALTER CREATE DELETE DROP INSERT PRAGMA REPLACE SELECT UPDATE VACUUM WITH";

/// A word, a literal or a single sign, with the line that it begins on.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
}

impl Token<'_> {
    pub(super) fn is_sql(&self) -> bool {
        let (prefix, inside) = self.text.split_once('"').unwrap_or_default();
        let inside = inside.trim_start_matches(|c: char| c == '\\' || c.is_whitespace());
        let (word, _) = inside.split_once(char::is_whitespace).unwrap_or_default();
        !prefix.starts_with('\'') && !word.is_empty() && has(SQL, word)
    }
}

/// The first name of a path, or of each path in a braced group.
pub(super) fn heads<'a>(path: &[Token<'a>]) -> Vec<Token<'a>> {
    if path[0].text != "{" {
        return vec![path[0]];
    }
    let (mut found, mut depth) = (Vec::new(), 0);
    for pair in path.windows(2) {
        match pair[0].text {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            _ => {}
        }
        let first = depth == 1 && has("{ ,", pair[0].text);
        if first && !has("} self", pair[1].text) {
            found.push(pair[1]);
        }
    }
    found
}

/// Whether a word is among others, which spaces part.
pub(super) fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|each| each == word)
}

pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < source.len() {
        let text = &source[at..at + lexeme(&source[at..])];
        let comment = text.starts_with("//") || text.starts_with("/*");
        if !comment && !text.trim().is_empty() {
            found.push(Token { line, text });
        }
        line += text.matches('\n').count();
        at += text.len();
    }
    found
}

/// The length of the comment, literal, word or sign that a text begins with.
fn lexeme(rest: &str) -> usize {
    let until = |from: usize, end: &str| {
        rest[from..]
            .find(end)
            .map_or(rest.len(), |length| from + length + end.len())
    };
    if rest.starts_with("//") {
        return until(0, "\n");
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        let mut next = inside.chars();
        let literal = matches!(
            (next.next(), next.next()),
            (Some('\\'), _) | (_, Some('\''))
        );
        return if literal { quoted(rest, '\'') } else { 1 }; // the tick of a lifetime
    }
    let word = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let body = rest[word..].trim_start_matches('#');
    if has("r br cr", &rest[..word]) && body.starts_with('"') {
        let opening = rest.len() - body.len();
        return until(opening + 1, &format!("\"{}", &rest[word..opening]));
    }
    word.max(rest.chars().next().map_or(0, char::len_utf8))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = true; // the opening quote closes nothing
    for (at, c) in rest.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}
