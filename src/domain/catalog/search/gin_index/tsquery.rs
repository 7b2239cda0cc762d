//! The full-text queries of Postgres.

/// Returns clauses as a `tsquery`. Words hold letters, digits and combining marks only, so that they need no
/// escapes.
pub(super) fn tsquery(clauses: &[Vec<String>]) -> String {
    let clause_text = |clause: &Vec<String>| {
        let prefixes: Vec<_> = clause.iter().map(|word| format!("'{word}':*")).collect();
        format!("({})", prefixes.join(" | "))
    };
    let texts: Vec<_> = clauses.iter().map(clause_text).collect();
    texts.join(" & ")
}

/// Returns the condition that a column matches a query. The GIN indexes are on the same expression.
pub(super) fn matches(column: &str, tsquery: &str) -> String {
    format!(
        "array_to_tsvector(string_to_array(s.{column}, ' ')) @@ CAST(CAST({tsquery} AS TEXT) AS TSQUERY)"
    )
}
