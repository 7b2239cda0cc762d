//! Lists of what is searched for. Few that fit are put in order one and all; where many do, the index of
//! the order is walked until the part is full, for they lie close there.

use super::{
    listing::{Filters, Reached, Show, Sort, walk_on},
    query::Query,
    search,
};
use crate::{
    catalog::search::Search,
    db::Tx,
    error::Result,
    page::{COUNTED_UP_TO, PageRequest, Part, Total},
};

/// So many are few.
const FEW: i64 = 1000;

const BY_NAME: &str = "ORDER BY p.name_key, p.id";

/// Hands over what fits the words and the rest of the filters, which is in `query`.
pub(super) fn found(
    tx: &mut Tx<'_>,
    filters: &Filters,
    query: Query<'_>,
    search: &Search,
    part: &Part,
    show: Show<'_>,
) -> Result<Reached> {
    let question = search.question();
    let asked = Asked {
        all: question.values("words"),
        name: question.values("name_words"),
        patterns: search
            .groups
            .iter()
            .map(|group| group.iter().map(|word| format!("% {word}%")).collect())
            .collect(),
        folded: &search.folded,
        behind: format!("{}\u{10ffff}", search.folded),
    };
    let few = query.clone().found("words", &asked.all);
    let total = if query.is_narrowed() {
        few.count(tx, COUNTED_UP_TO + 1)?
    } else {
        search::count(tx, &question, COUNTED_UP_TO + 1)?
    };
    let are_few = total <= FEW;
    let page = match part {
        Part::Page(page) if filters.sort == Sort::Relevance && are_few => {
            return asked.rank(tx, few, *page, show).map(|()| page_of(total));
        }
        Part::Page(page) if filters.sort == Sort::Relevance => {
            return asked.seek(tx, &query, *page, show).map(|()| page_of(total));
        }
        part => part,
    };
    let query = if are_few {
        few
    } else {
        query.with_words("words", &asked.patterns, true)
    };
    match page {
        Part::Walk(walk) => walk_on(tx, filters.sort, query, walk, show),
        Part::Page(page) => {
            let order = filters.sort.order();
            query.rows(tx, &order, page.limit, page.offset(), show)?;
            Ok(page_of(total))
        }
    }
}

fn page_of(total: i64) -> Reached {
    Reached::Page(Total::counted(total))
}

/// What is searched for, in all the ways in which it is asked.
struct Asked<'s> {
    /// Of names and descriptions, and of names.
    all: [String; 2],
    name: [String; 2],
    patterns: Vec<Vec<String>>,
    /// As names are folded, and what no name that begins so comes behind.
    folded: &'s str,
    behind: String,
}

impl Asked<'_> {
    /// Puts all that fit in order: exact name, name that begins so, all words in the name, the rest.
    fn rank<'a>(
        &'a self,
        tx: &mut Tx<'_>,
        few: Query<'a>,
        page: PageRequest,
        show: Show<'_>,
    ) -> Result<()> {
        let mut few: Query<'_> = few;
        let (exact, behind) = (few.value(self.folded), few.value(&self.behind));
        let in_name = few.words("name_words", &self.patterns);
        let order = format!(
            "ORDER BY CASE WHEN p.name_key = {exact} THEN 0
                 WHEN p.name_key > {exact} AND p.name_key < {behind} THEN 1
                 WHEN {in_name} THEN 2 ELSE 3 END, p.name_key, p.id"
        );
        few.rows(tx, &order, page.limit, page.offset(), show)
            .map(drop)
    }

    /// As [`Asked::rank`] of many: one class after the other, until the page is full.
    fn seek<'a>(
        &'a self,
        tx: &mut Tx<'_>,
        query: &Query<'a>,
        page: PageRequest,
        show: Show<'_>,
    ) -> Result<()> {
        let (mut skip, mut wanted) = (page.offset(), page.limit);
        for class in 0..4 {
            let query = self.class(tx, query.clone(), class)?;
            let shown = query.clone().rows(tx, BY_NAME, wanted, skip, show)?;
            wanted -= shown;
            if wanted == 0 {
                break;
            }
            skip = if shown == 0 && skip > 0 {
                skip - query.count(tx, skip)?
            } else {
                0
            };
        }
        Ok(())
    }

    fn class<'a>(&'a self, tx: &mut Tx<'_>, mut query: Query<'a>, class: u8) -> Result<Query<'a>> {
        if class == 0 {
            query.and("p.name_key =", self.folded);
            return Ok(query);
        }
        let (folded, behind) = (query.value(self.folded), query.value(&self.behind));
        if class == 1 {
            query.narrow(&format!("p.name_key > {folded} AND p.name_key < {behind}"));
            return Ok(query);
        }
        query.narrow(&format!(
            "(p.name_key < {folded} OR p.name_key >= {behind})"
        ));
        if class == 3 {
            let query = query.with_words("words", &self.patterns, true);
            return Ok(query.with_words("name_words", &self.patterns, false));
        }
        let few = query.clone().found("name_words", &self.name);
        Ok(if few.count(tx, FEW + 1)? <= FEW {
            few
        } else {
            query.with_words("name_words", &self.patterns, true)
        })
    }
}
