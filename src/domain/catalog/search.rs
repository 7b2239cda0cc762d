//! Search: what is asked for as words, and what comes closest to it.

use super::{
    fold::fold,
    place,
    store::{
        question::{self, Question},
        search::{self, Entry, Facts},
    },
    words::{groups, is_spelt, similarity, words},
};
use crate::{
    core::{error::Result, id::ProductId},
    infra::db::Tx,
};

/// How many words of a question count; a word that is kept as bigrams makes several.
const MOST_GROUPS: usize = 12;

/// How many words are taken for one that is spelt alike.
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
        let mut groups = groups(text);
        groups.truncate(MOST_GROUPS);
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

    /// Returns the search that finds what is spelt alike, beside what fits: each word or one like it; where
    /// no product has them all, the rarest of them; with the question that it comes to. Returns none if that
    /// finds nothing more.
    pub(super) fn similar(&self, tx: &mut Tx<'_>) -> Result<Option<(Search, Question)>> {
        let mut groups = Vec::new();
        for group in &self.groups {
            let question = Question::new(tx, std::slice::from_ref(group))?;
            let mut words = Vec::new();
            for word in group.iter().filter(|word| is_spelt(word)) {
                for other in alike(tx, word)? {
                    let fits = group.iter().any(|word| other.starts_with(word));
                    if !fits && !words.contains(&other) {
                        words.push(other);
                    }
                }
            }
            if question::is_any(tx, &question)? {
                words.extend_from_slice(group);
            }
            groups.push(words);
        }
        // A word like no other is left out, unless all of them are.
        groups.retain(|group| !group.is_empty());
        if groups.is_empty() {
            return Ok(None);
        }
        let question = Question::new(tx, &groups)?;
        if groups.len() == 1 || question::is_any(tx, &question)? {
            let is_more = groups != self.groups;
            return Ok(is_more.then(|| (Search::corrected(groups), question)));
        }
        let mut counted = Vec::new();
        for group in groups {
            let question = Question::new(tx, std::slice::from_ref(&group))?;
            counted.push((question::count(tx, &question, RARE)?, group, question));
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
