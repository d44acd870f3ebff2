//! Texts and queries: pieces of this repository's own sentences, the same in every run.

/// English with the repetitions of a subject: some 2,000 words.
const SOURCES: [&str; 4] = [
    include_str!("../../../README.md"),
    include_str!("../../../docs/architecture.md"),
    include_str!("../../../docs/move-protocol.md"),
    include_str!("../../../tests/cluster/README.md"),
];

/// Pieces of a text, and the words of a piece: some 300 bytes in all.
const SHAPE: (u64, usize) = (3, 16);

/// The database's stop words of more than three letters.
const STOP_WORDS: &str = "ourselves your yours yourself yourselves himself hers herself itself they them their theirs \
    themselves what which whom this that these those were been being have having does doing because until while with about \
    against between into through during before after above below from down over under again further then once here there when \
    where both each more most other some such only same than very will just should";

/// Words of a query.
const QUERY: usize = 3;

/// The words, in the order of the sources.
#[derive(Debug)]
pub struct Corpus(Vec<&'static str>);

impl Corpus {
    /// Cuts the sources into words.
    pub fn new() -> Self {
        let words = SOURCES.iter().flat_map(|source| source.split_whitespace());
        Self(words.filter(|word| word.chars().all(char::is_alphabetic)).collect())
    }

    /// Returns the `n`th text; no two are the same.
    pub fn text(&self, n: u64) -> String {
        let pieces = (0..SHAPE.0).flat_map(|piece| self.piece(n, piece).take(SHAPE.1));
        format!("{n} {}", pieces.collect::<Vec<_>>().join(" "))
    }

    /// Returns a query to which the `n`th text is an answer: the longest words of its first piece that carry a meaning. A query
    /// of stop words alone finds nothing.
    pub fn query(&self, n: u64) -> String {
        let mut words: Vec<&str> = self.piece(n, 0).take(SHAPE.1).collect();
        words.retain(|word| word.len() > 3 && !STOP_WORDS.split(' ').any(|stop| word.eq_ignore_ascii_case(stop)));
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.truncate(QUERY);
        words.join(" ")
    }

    fn piece(&self, n: u64, piece: u64) -> impl Iterator<Item = &'static str> {
        let start = pick(n * SHAPE.0 + piece, self.0.len());
        self.0.iter().copied().cycle().skip(start)
    }
}

/// Picks one of so many, as if by chance, and the same in every run.
pub fn pick(seed: u64, of: usize) -> usize {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let number = usize::try_from((mixed ^ (mixed >> 31)) >> 16).unwrap_or_default();
    number.checked_rem(of).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_words_and_all_of_them_are_in_its_text() {
        let corpus = Corpus::new();
        for n in 0..6000 {
            let (text, query) = (corpus.text(n), corpus.query(n));
            assert!(!query.is_empty(), "{text}");
            assert!(query.split(' ').all(|word| text.contains(word)), "{text} / {query}");
        }
        assert_ne!(corpus.text(7), corpus.text(8));
    }
}
