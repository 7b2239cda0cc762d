//! Lists of what is searched for. The index of words finds in the order of keys, which is about that of
//! names: what comes first by name is found first. For another order few are put in order one and all; where
//! many fit, the index of that order is walked until the part is full, for they lie close there.

use super::{
    listing::{Filters, Reached, Show, Sort, narrowed, walk_on},
    query::Query,
    search::{self, Question, Within},
};
use crate::{
    catalog::{Category, place, search::Search},
    db::Tx,
    error::Result,
    page::{COUNTED_UP_TO, PageRequest, Part, Total},
};

/// So many are few.
const FEW: i64 = 5000;

/// About so many are on a page.
const PAGE: i64 = 20;

const BY_NAME: &str = "ORDER BY p.name_key, p.id";

/// Hands over what fits the words, the category and the rest of the filters.
pub(super) fn found(
    tx: &mut Tx<'_>,
    filters: &Filters,
    category: Option<&Category>,
    (search, question): (Search, Question),
    part: &Part,
    show: Show<'_>,
) -> Result<Reached> {
    let query = narrowed(filters, category);
    let patterns = search.patterns();
    let (mut question, mut rest) = (question, query.clone());
    let (mut known, mut numbers) = (None, None);
    if tx.writes_alone() {
        rest = narrowed(filters, None);
        if let Some(category) = category {
            question = question.of(category.id);
        }
        let found = search::find(tx, &question, filters, COUNTED_UP_TO + 1)?;
        // For each row of a page the index of words finds others that do not fit; by their numbers, all that
        // fit are read.
        let are_rare = found.count <= FEW && found.count.pow(2) <= PAGE * found.with_words;
        if rest.is_narrowed() && are_rare {
            numbers = Some(found.numbers());
        }
        known = Some(found.count);
    }
    let source = Source {
        question: &question,
        rest,
        numbers: numbers.as_deref(),
        patterns: &patterns,
    };
    let total = match known {
        Some(total) => total,
        None => source.query(Within::All).count(tx, COUNTED_UP_TO + 1)?,
    };
    let reached = Reached::Page(Total::counted(total));
    let query = match part {
        Part::Page(page) if filters.sort == Sort::Relevance => {
            by_relevance(tx, &source, query, &search, *page, show)?;
            return Ok(reached);
        }
        Part::Page(page) if filters.sort == Sort::Name => {
            let all = source.query(Within::All);
            by_name(tx, &all, page.limit, page.offset(), show)?;
            return Ok(reached);
        }
        _ if total <= FEW => source.query(Within::All),
        _ => query.with_words(&patterns),
    };
    match part {
        Part::Walk(walk) => walk_on(tx, filters.sort, query, walk, show),
        Part::Page(page) => {
            let order = filters.sort.order();
            query.rows(tx, &order, page.limit, page.offset(), show)?;
            Ok(reached)
        }
    }
}

/// Where what fits is found.
struct Source<'a> {
    question: &'a Question,
    /// What the index of words does not know.
    rest: Query<'a>,
    /// Those of all that fits, if they are told; words then tell names from descriptions.
    numbers: Option<&'a str>,
    patterns: &'a [Vec<String>],
}

impl<'a> Source<'a> {
    fn query(&self, within: Within) -> Query<'a> {
        match self.numbers {
            Some(numbers) => Query::new().among(numbers, self.patterns, within),
            None => self.rest.clone().found(self.question, within),
        }
    }

    /// Names that begin as the text does; the index of names finds them if nobody told their numbers.
    fn begins(&self, mut query: Query<'a>, search: &'a Search) -> (Query<'a>, bool) {
        let is_found = self.numbers.is_some();
        if is_found {
            query = self.query(Within::All);
        }
        let (first, behind) = (query.value(&search.folded), query.value(&search.behind));
        let range = |name: &str| format!("{name} >= {first} AND {name} < {behind}");
        if is_found {
            query.narrow_found(&range("s.name_key"));
        } else {
            query.narrow(&range("p.name_key"));
        }
        (query, is_found)
    }
}

/// One class after the other, until the page is full: names that begin so, the very name first of them;
/// all words in the name; the rest. Inside a class by name.
fn by_relevance<'a>(
    tx: &mut Tx<'_>,
    source: &Source<'a>,
    query: Query<'a>,
    search: &'a Search,
    page: PageRequest,
    show: Show<'_>,
) -> Result<()> {
    let (mut skip, mut wanted) = (page.offset(), page.limit);
    let mut in_name = source.query(Within::Name);
    let (first, behind) = (in_name.value(&search.folded), in_name.value(&search.behind));
    in_name.narrow_found(&format!("(s.name_key < {first} OR s.name_key >= {behind})"));
    let (begins, is_found) = source.begins(query, search);
    let rest = source.query(Within::AllButName);
    for (class, is_found) in [(begins, is_found), (in_name, true), (rest, true)] {
        let shown = if is_found {
            by_name(tx, &class, wanted, skip, show)?
        } else {
            class.clone().rows(tx, BY_NAME, wanted, skip, show)?
        };
        wanted -= shown;
        if wanted == 0 {
            break;
        }
        skip = if shown == 0 && skip > 0 {
            skip - class.count(tx, skip)?
        } else {
            0
        };
    }
    Ok(())
}

/// Hands over what stands behind `skip` others in the order of names, of what the index of words finds. It
/// tells between which keys that is; only there names are compared.
fn by_name(
    tx: &mut Tx<'_>,
    query: &Query<'_>,
    wanted: i64,
    mut skip: i64,
    show: Show<'_>,
) -> Result<i64> {
    let mut query = query.clone();
    if skip > 0 {
        let Some(first) = query.key_behind(tx, skip)? else {
            return Ok(0);
        };
        let first = query.value(*place::alike(first).start());
        let mut before = query.clone();
        before.narrow_found(&format!("{{key}} < {first}"));
        skip -= before.count(tx, skip)?;
        query.narrow_found(&format!("{{key}} >= {first}"));
    }
    if let Some(last) = query.key_behind(tx, skip + wanted - 1)? {
        let last = query.value(*place::alike(last).end());
        query.narrow_found(&format!("{{key}} <= {last}"));
    }
    query.found_rows(tx, wanted, skip, show)
}
