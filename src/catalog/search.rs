//! Search: what is asked for as words, and what comes closest where nothing fits.

use uuid::Uuid;

use super::{
    fold::fold,
    place,
    store::search::{self, Entry, Facts, Question},
    words::{similarity, words},
};
use crate::{db::Tx, error::Result, id::ProductId};

/// How many words of a question count.
const MOST_WORDS: usize = 8;

/// How many words take the place of one that is spelt otherwise.
const MOST_ALIKE: usize = 5;

/// How many known words are looked at for that.
const LOOKED_AT: i64 = 200;

/// The least likeness, in thousandths.
const LEAST_ALIKE: usize = 300;

/// Past so many products nobody counts which of two words is the rarer.
const RARE: i64 = 1000;

/// What is searched for.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// As names are folded.
    pub folded: String,
    /// What no name that begins so comes behind.
    pub behind: String,
    /// A product fits if, for every group, one of its words begins with one of the group's.
    pub groups: Vec<Vec<String>>,
}

impl Search {
    /// What a text asks for; nothing, where it holds no word.
    pub(super) fn parse(text: &str) -> Option<Search> {
        // No name holds any, and not every engine can be asked for them.
        let text = &text.replace(char::is_control, " ");
        let groups: Vec<_> = words(text)
            .into_iter()
            .take(MOST_WORDS)
            .map(|word| vec![word])
            .collect();
        (!groups.is_empty()).then(|| Search::new(fold(text), groups))
    }

    /// What the words of a product that fits are like, a space before each: for every group one pattern.
    pub(super) fn patterns(&self) -> Vec<Vec<String>> {
        let pattern = |word: &String| format!("% {word}%");
        let groups = self.groups.iter();
        groups
            .map(|group| group.iter().map(pattern).collect())
            .collect()
    }

    /// The same if anything fits it; else what is spelt alike; else the rarest of its words; with the
    /// question that it comes to. None: there is nothing like it.
    pub(super) fn or_alike(self, tx: &mut Tx<'_>) -> Result<Option<(Search, Question)>> {
        let question = Question::new(tx, &self.groups)?;
        if search::is_any(tx, &question)? {
            return Ok(Some((self, question)));
        }
        let mut groups = Vec::new();
        for group in self.groups {
            let question = Question::new(tx, std::slice::from_ref(&group))?;
            groups.push(if search::is_any(tx, &question)? {
                group
            } else {
                alike(tx, &group[0])?
            });
        }
        // A word like no other is left out, unless all of them are.
        groups.retain(|group| !group.is_empty());
        if groups.is_empty() {
            return Ok(None);
        }
        let question = Question::new(tx, &groups)?;
        if groups.len() == 1 || search::is_any(tx, &question)? {
            return Ok(Some((Search::corrected(groups), question)));
        }
        let mut counted = Vec::new();
        for group in groups {
            let question = Question::new(tx, std::slice::from_ref(&group))?;
            counted.push((search::count(tx, &question, RARE)?, group, question));
        }
        let rarest = counted.into_iter().min_by_key(|(count, ..)| *count);
        Ok(rarest.map(|(_, group, question)| (Search::corrected(vec![group]), question)))
    }

    /// As if the likeliest words had been asked for.
    fn corrected(groups: Vec<Vec<String>>) -> Search {
        let likeliest: Vec<_> = groups.iter().map(|group| group[0].as_str()).collect();
        Search::new(likeliest.join(" "), groups)
    }

    fn new(folded: String, groups: Vec<Vec<String>>) -> Search {
        Search {
            behind: format!("{folded}\u{10ffff}"),
            folded,
            groups,
        }
    }
}

/// The known words that are most like this one.
fn alike(tx: &mut Tx<'_>, word: &str) -> Result<Vec<String>> {
    let known = search::alike(tx, word, LOOKED_AT)?;
    let mut ranked: Vec<_> = known
        .into_iter()
        .map(|other| (similarity(word, &other), other))
        .filter(|(likeness, _)| *likeness >= LEAST_ALIKE)
        .collect();
    ranked.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    Ok(ranked
        .into_iter()
        .take(MOST_ALIKE)
        .map(|(_, word)| word)
        .collect())
}

/// What search keeps of a product.
pub(super) fn entry(product: ProductId, name: &str, description: &str, facts: Facts) -> Entry {
    let name_words = words(name);
    let described = words(description);
    let more = described
        .into_iter()
        .filter(|word| !name_words.contains(word));
    let name_key = fold(name);
    Entry {
        product,
        key: place::key(&name_key, product),
        name_key,
        words: name_words.iter().cloned().chain(more).collect(),
        name_words,
        facts,
    }
}

/// How many products are indexed by one transaction.
const BATCH: i64 = 500;

/// Makes search as fast again as it was before much was written.
pub fn merge_words(tx: &mut Tx<'_>) -> Result<()> {
    search::merge(tx)
}

/// Behind which product words may be missing: they are written in the order of ids.
pub fn indexed(tx: &mut Tx<'_>) -> Result<ProductId> {
    let last = search::last(tx)?;
    Ok(last.unwrap_or(ProductId(Uuid::nil())))
}

/// Writes down the words of some products behind `after`; tells where it goes on, until there are no
/// more.
pub fn index_from(tx: &mut Tx<'_>, after: ProductId) -> Result<Option<ProductId>> {
    let entries = search::unwritten(tx, after, BATCH)?;
    let last = entries.last().map(|entry| entry.product);
    search::write(tx, entries)?;
    Ok(last)
}
