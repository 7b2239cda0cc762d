//! A minimal tokenizer for Rust: it drops comments and whitespace, and separates literals from code. It does not
//! support nested block comments.

/// SQL statements, in upper case and followed by more text: `"DELETE"` alone is an HTTP method.
const SQL: &str = "ALTER CREATE DELETE DROP INSERT PRAGMA REPLACE SELECT UPDATE VACUUM WITH";

/// A word, a literal or a single symbol, with its line.
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

    /// The names that follow `FROM`, `JOIN`, `INTO` or `UPDATE` in a literal.
    pub(super) fn tables(&self) -> Vec<&str> {
        if !self.text.contains('"') {
            return Vec::new();
        }
        let words: Vec<&str> = self
            .text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .collect();
        let follows = words
            .windows(2)
            .filter(|pair| has("FROM JOIN INTO UPDATE", pair[0]));
        follows.map(|pair| pair[1]).collect()
    }
}

/// Returns the paths that begin with the first token, one per leaf of a braced group, with their lines.
pub(super) fn paths<'a>(tokens: &[Token<'a>]) -> Vec<(usize, Vec<&'a str>)> {
    let mut found = Vec::new();
    tree(tokens, &[], &mut found);
    found
}

/// Parses one tree of paths. Returns its number of tokens.
fn tree<'a>(
    tokens: &[Token<'a>],
    prefix: &[&'a str],
    found: &mut Vec<(usize, Vec<&'a str>)>,
) -> usize {
    let (mut at, mut path) = (0, prefix.to_vec());
    let mut line = 0;
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| token.text != "}") {
                at += tree(&tokens[at..], &path, found).max(1);
                while tokens
                    .get(at)
                    .is_some_and(|token| !["}", ","].contains(&token.text))
                {
                    at += 1; // `as name`
                }
                at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
            }
            return at + 1;
        }
        path.push(token.text);
        line = token.line;
        at += 1;
        let is_path = |token: Option<&Token<'_>>| token.is_some_and(|token| token.text == ":");
        if !is_path(tokens.get(at)) || !is_path(tokens.get(at + 1)) {
            break;
        }
        at += 2;
        let continues = |token: &Token<'_>| {
            token.text == "{"
                || token
                    .text
                    .starts_with(|c: char| c.is_alphanumeric() || c == '_')
        };
        if !tokens.get(at).is_some_and(continues) {
            break; // `::<…>`, `::*`
        }
    }
    found.push((line, path));
    at
}

/// Returns whether a list of words, separated by spaces, contains a word.
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

/// Returns the length of the comment, literal, word or symbol at the start of a text.
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
    let mut escaped = true; // skips the opening quote
    for (at, c) in rest.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}
