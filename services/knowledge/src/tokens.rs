//! Tokens, counted exactly as the models of OpenAI's `o200k` family count them.

/// The encoding, as answers name it.
pub const ENCODING: &str = "o200k_base";

/// Counts the tokens of a text. The first call loads the vocabulary, for some 200 ms.
#[must_use]
pub fn count(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton().count_ordinary(text)
}
