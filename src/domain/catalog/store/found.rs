//! Lists of what is searched for. The index of words finds in the order of keys, which is about that of
//! names: what comes first by name is found first. For another order few are put in order one and all; where
//! many fit, the index of that order is walked until the part is full, for they lie close there.

use super::{
    listing::{Filters, Reached, Show, Sort, narrowed as narrowed_by, walk_on},
    query::Query,
    question::{self, Question, Within},
};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        pagination::{COUNTED_UP_TO, ListRequest, PageRequest, Position, Total},
    },
    domain::catalog::{Category, place, search::Search},
    infra::db::Tx,
};

/// So many are few.
const FEW: i64 = 5000;

/// About so many are on a page.
const PAGE: i64 = 20;

const BY_NAME: &str = "ORDER BY p.name_key, p.id";

/// Where fewer products fit, similar ones follow, and as many of them at most.
const ENOUGH: i64 = 20;

/// Hands over what fits the words, the category and the rest of the filters. Where that is little, what is
/// spelt alike follows behind all of it, in the same order.
pub(super) fn found(
    tx: &mut Tx<'_>,
    filters: &Filters,
    category: Option<&Category>,
    search: Search,
    part: &ListRequest,
    show: Show<'_>,
) -> Result<Reached> {
    let sort = filters.sort;
    let question = Question::new(tx, &search.groups)?;
    let fitting = Fitting::new(tx, filters, category, (search, question), Vec::new())?;
    let total = fitting.total(tx)?;
    let similar = if total < ENOUGH {
        fitting.similar(tx, filters, category)?
    } else {
        Vec::new()
    };
    match part {
        ListRequest::Page(page) => {
            let (offset, limit) = (page.offset(), page.limit);
            // A total that was counted up to a limit does not include the rows behind it.
            if offset < total || total > COUNTED_UP_TO {
                fitting.page(tx, sort, total, *page, show)?;
            }
            let all = total + i64::try_from(similar.len()).map_err(Error::internal)?;
            let left = limit - (total - offset).clamp(0, limit);
            if left > 0 && !similar.is_empty() {
                let (query, order) = by_ids(&similar, sort);
                query.rows(tx, &order, left, (offset - total).max(0), show)?;
            }
            Ok(Reached::Page(Total::counted(all)))
        }
        ListRequest::CursorRequest(walk) => {
            let (mut after, mut limit) = (walk.after.as_ref(), walk.limit);
            if !after.is_some_and(|place| place.is_similar) {
                let walked = walk_on(tx, sort, fitting.walked(total), after, limit, show)?;
                if walked.shown == limit && !similar.is_empty() {
                    return Ok(Reached::CursorRequest(walked.last));
                }
                if walked.goes_on() {
                    return Ok(Reached::CursorRequest(walked.next()));
                }
                (after, limit) = (None, limit - walked.shown);
            }
            if similar.is_empty() {
                return Ok(Reached::CursorRequest(None));
            }
            let (query, _) = by_ids(&similar, sort);
            let walked = walk_on(tx, sort, query, after, limit, show)?;
            let next = walked.next().map(|place| Position {
                is_similar: true,
                ..place
            });
            Ok(Reached::CursorRequest(next))
        }
    }
}

/// The products with these ids, of which there are some, and their order: by relevance as they are here.
fn by_ids(ids: &[ProductId], sort: Sort) -> (Query<'_>, String) {
    let mut query = Query::new();
    query.only(ids);
    let order = match sort {
        Sort::Relevance => query.in_order_of(ids),
        _ => sort.order(),
    };
    (query, order)
}

/// What fits a search and the filters.
struct Fitting<'a> {
    search: Search,
    patterns: Vec<Vec<String>>,
    question: Question,
    /// Every filter but the words.
    narrowed: Query<'a>,
    /// Those of them that the index of words does not know.
    rest: Query<'a>,
    /// How many fit, where one program writes.
    known: Option<i64>,
    /// The numbers of all that fit, if they are few; the query goes by them instead of the index of words.
    numbers: Option<String>,
    /// What is left out.
    without: Vec<ProductId>,
}

impl<'a> Fitting<'a> {
    fn new(
        tx: &mut Tx<'_>,
        filters: &'a Filters,
        category: Option<&'a Category>,
        (search, question): (Search, Question),
        without: Vec<ProductId>,
    ) -> Result<Fitting<'a>> {
        let narrowed = narrowed_by(filters, category);
        let mut fitting = Fitting {
            patterns: search.patterns(),
            question,
            search,
            rest: narrowed.clone(),
            narrowed,
            known: None,
            numbers: None,
            without,
        };
        if tx.is_single_writer() {
            fitting.rest = narrowed_by(filters, None);
            if let Some(category) = category {
                fitting.question = fitting.question.of(category.id);
            }
            let found = question::find(tx, &fitting.question, filters, COUNTED_UP_TO + 1)?;
            // For each row of a page the index of words finds others that do not fit; by their numbers, all
            // that fit are read.
            let are_rare = found.count <= FEW && found.count.pow(2) <= PAGE * found.with_words;
            if fitting.rest.is_narrowed() && are_rare {
                fitting.numbers = Some(found.numbers());
            }
            fitting.known = Some(found.count);
        }
        Ok(fitting)
    }

    /// How many fit, counted up to one past [`COUNTED_UP_TO`].
    fn total(&self, tx: &mut Tx<'_>) -> Result<i64> {
        match self.known {
            Some(total) => Ok(total),
            None => self.query(Within::All).count(tx, COUNTED_UP_TO + 1),
        }
    }

    /// The products that are most like what is searched for without fitting it, the likeliest first.
    fn similar(
        &self,
        tx: &mut Tx<'_>,
        filters: &'a Filters,
        category: Option<&'a Category>,
    ) -> Result<Vec<ProductId>> {
        let Some(asked) = self.search.similar(tx)? else {
            return Ok(Vec::new());
        };
        let fitting = self.query(Within::All).ids(tx)?;
        let similar = Fitting::new(tx, filters, category, asked, fitting)?;
        let mut ids = Vec::new();
        let first = PageRequest {
            page: 1,
            limit: ENOUGH,
        };
        by_relevance(tx, &similar, first, &mut |row| {
            ids.push(row.get(0)?);
            Ok(())
        })?;
        Ok(ids)
    }

    /// Hands over a page of so many.
    fn page(
        &self,
        tx: &mut Tx<'_>,
        sort: Sort,
        total: i64,
        page: PageRequest,
        show: Show<'_>,
    ) -> Result<()> {
        match sort {
            Sort::Relevance => by_relevance(tx, self, page, show),
            Sort::Name => {
                let all = self.query(Within::All);
                by_name(tx, &all, page.limit, page.offset(), show).map(drop)
            }
            _ => {
                let query = self.walked(total);
                let order = sort.order();
                query
                    .rows(tx, &order, page.limit, page.offset(), show)
                    .map(drop)
            }
        }
    }

    /// So many, for another order than that in which the index of words finds.
    fn walked(&self, total: i64) -> Query<'_> {
        if total <= FEW {
            self.query(Within::All)
        } else {
            self.narrowed.clone().with_words(&self.patterns)
        }
    }

    fn query(&self, within: Within) -> Query<'_> {
        let mut query = match &self.numbers {
            Some(numbers) => Query::new().among(numbers, &self.patterns, within),
            None => self.rest.clone().found(&self.question, within),
        };
        query.without(&self.without);
        query
    }

    /// Returns names that begin as the text does, and whether the query goes by numbers instead of the index
    /// of names.
    fn begins(&self) -> (Query<'_>, bool) {
        let is_found = self.numbers.is_some();
        let mut query = if is_found {
            self.query(Within::All)
        } else {
            let mut query = self.narrowed.clone();
            query.without(&self.without);
            query
        };
        let search = &self.search;
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
fn by_relevance(
    tx: &mut Tx<'_>,
    fitting: &Fitting<'_>,
    page: PageRequest,
    show: Show<'_>,
) -> Result<()> {
    let (mut skip, mut wanted) = (page.offset(), page.limit);
    let search = &fitting.search;
    let mut in_name = fitting.query(Within::Name);
    let (first, behind) = (in_name.value(&search.folded), in_name.value(&search.behind));
    in_name.narrow_found(&format!("(s.name_key < {first} OR s.name_key >= {behind})"));
    let (begins, is_found) = fitting.begins();
    let rest = fitting.query(Within::AllButName);
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
