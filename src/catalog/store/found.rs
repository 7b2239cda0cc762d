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
    // Where the index of words knows categories, the rest is narrowed by what it does not know.
    let (question, rest) = match category {
        Some(category) if tx.writes_alone() => (question.of(category.id), narrowed(filters, None)),
        _ => (question, query.clone()),
    };
    let all = rest.clone().found(&question, Within::All);
    let total = if rest.is_narrowed() {
        all.count(tx, COUNTED_UP_TO + 1)?
    } else {
        search::count(tx, &question, COUNTED_UP_TO + 1)?
    };
    let reached = Reached::Page(Total::counted(total));
    let patterns = search.patterns();
    let query = match part {
        Part::Page(page) if filters.sort == Sort::Relevance => {
            by_relevance(tx, query, rest, (&search, &question), *page, show)?;
            return Ok(reached);
        }
        Part::Page(page) if filters.sort == Sort::Name => {
            by_name(tx, &all, page.limit, page.offset(), show)?;
            return Ok(reached);
        }
        _ if total <= FEW => all,
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

/// One class after the other, until the page is full: names that begin so, the very name first of them;
/// all words in the name; the rest. Inside a class by name.
fn by_relevance<'a>(
    tx: &mut Tx<'_>,
    mut begins: Query<'a>,
    rest: Query<'a>,
    (search, question): (&'a Search, &'a Question),
    page: PageRequest,
    show: Show<'_>,
) -> Result<()> {
    let (mut skip, mut wanted) = (page.offset(), page.limit);
    let mut in_name = rest.clone();
    let place_of =
        |query: &mut Query<'a>| (query.value(&search.folded), query.value(&search.behind));
    let (first, behind) = place_of(&mut begins);
    begins.narrow(&format!("p.name_key >= {first} AND p.name_key < {behind}"));
    let (first, behind) = place_of(&mut in_name);
    let mut in_name = in_name.found(question, Within::Name);
    in_name.narrow_found(&format!("(s.name_key < {first} OR s.name_key >= {behind})"));
    let rest = rest.found(question, Within::AllButName);
    for (class, is_found) in [(begins, false), (in_name, true), (rest, true)] {
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
