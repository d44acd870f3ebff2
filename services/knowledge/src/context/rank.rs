//! The order in which candidates are told, whatever the budget.
//!
//! Policies first, those that must be followed before the others, and of these the wider layers before the narrower, then what
//! the caller pinned, then the rest by relevance per token of its shortest form, with a penalty for what says the same as what
//! is told already (maximal marginal relevance, Carbonell and Goldstein 1998). Equal input gives equal order.
//!
//! Two candidates are compared once, when the first of them is told; and [`bound`] says how much there is to compare.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::block::{Block, blocks};
use super::{Candidate, Source};
use crate::item::Severity;
use crate::item::layer::LAYERS;
use crate::markdown;

/// As similar as this is the same.
const SAME: f64 = 0.9;

/// How to order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taste {
    /// Less relevant candidates are left out, 0 to 1; policies and pinned ones are not.
    pub min_relevance: f64,
    /// 1 looks at relevance alone, 0 at difference alone.
    pub lambda: f64,
}

/// Why a candidate is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// No token is left for it.
    Budget,
    /// Another says the same.
    Duplicate,
    /// It has too little to do with the question.
    Threshold,
    /// It was pinned, and is not there, or not for the caller.
    Absent,
}

/// A candidate in its place, with its blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The candidate.
    pub candidate: Candidate,
    /// Its blocks, the fullest first.
    pub blocks: Vec<Block>,
    /// What it is worth, 0 to 1.
    pub score: f64,
}

impl Ranked {
    /// Returns its place among those that are not a matter of relevance; the others have the last.
    #[must_use]
    pub fn class(&self) -> u8 {
        class(&self.candidate)
    }
}

fn class(candidate: &Candidate) -> u8 {
    match (candidate.source, candidate.severity, candidate.pinned) {
        (Source::Policy, Severity::Block, _) => 0,
        (Source::Policy, Severity::Warn, _) => 1,
        (Source::Policy, Severity::Info, _) => 2,
        (_, _, true) => 3,
        (Source::Knowledge | Source::Note | Source::Memory, _, false) => 4,
    }
}

/// Of policies, those of wider layers go first: what a narrower one says holds within them.
fn place(candidate: &Candidate) -> usize {
    if candidate.source != Source::Policy {
        return 0;
    }
    let known = LAYERS.iter().position(|layer| layer.as_str() == candidate.layer);
    known.unwrap_or(LAYERS.len())
}

struct Waiting {
    ranked: Ranked,
    words: BTreeSet<String>,
    density: f64,
    /// How like it is to the likest of those told.
    likeness: f64,
}

/// Leaves out what is beyond so many bytes of text: what matters least. Policies and what is pinned come first. `length` tells
/// how long a text is that may not be here yet.
#[must_use]
pub fn bound(
    mut candidates: Vec<Candidate>,
    bytes: usize,
    length: impl Fn(&Candidate) -> usize,
) -> (Vec<Candidate>, Vec<(String, Reason)>) {
    candidates.sort_by(|a, b| {
        (class(a), place(a))
            .cmp(&(class(b), place(b)))
            .then(b.relevance.total_cmp(&a.relevance))
            .then_with(|| a.reference.cmp(&b.reference))
    });
    let mut sum = 0_usize;
    let fits = |one: &&Candidate| {
        sum = sum.saturating_add(length(one));
        sum <= bytes
    };
    let many = candidates.iter().take_while(fits).count();
    let beyond = candidates.split_off(many).into_iter();
    (candidates, beyond.map(|one| (one.reference, Reason::Budget)).collect())
}

/// Orders candidates; the second list are those left out.
#[must_use]
pub fn rank(candidates: Vec<Candidate>, question: &str, taste: Taste) -> (Vec<Ranked>, Vec<(String, Reason)>) {
    let asked = markdown::words(question);
    let (mut left_out, mut waiting) = (Vec::new(), Vec::new());
    for candidate in candidates {
        if class(&candidate) == 4 && candidate.relevance < taste.min_relevance {
            left_out.push((candidate.reference, Reason::Threshold));
            continue;
        }
        waiting.push(weigh(candidate, &asked));
    }
    waiting.sort_by(order);
    let densest = waiting.iter().map(|one| one.density).fold(f64::MIN_POSITIVE, f64::max);
    let mut told = Vec::new();
    while !waiting.is_empty() {
        let next = waiting.remove(choose(&waiting, densest, taste.lambda));
        if next.ranked.class() == 4 && next.likeness >= SAME {
            left_out.push((next.ranked.candidate.reference, Reason::Duplicate));
            continue;
        }
        for one in waiting.iter_mut().filter(|one| one.ranked.class() == 4) {
            one.likeness = one.likeness.max(likeness(&one.words, &next.words));
        }
        told.push(next.ranked);
    }
    (told, left_out)
}

/// Equal ones go by their name, so that the order of arrival does not matter.
fn order(a: &Waiting, b: &Waiting) -> Ordering {
    let (x, y) = (&a.ranked, &b.ranked);
    (x.class().cmp(&y.class()))
        .then(place(&x.candidate).cmp(&place(&y.candidate)))
        .then(b.density.total_cmp(&a.density))
        .then_with(|| x.candidate.reference.cmp(&y.candidate.reference))
}

fn weigh(candidate: Candidate, asked: &BTreeSet<String>) -> Waiting {
    let blocks = blocks(&candidate, asked);
    let words = markdown::words(&candidate.text);
    let score = candidate.relevance.clamp(0.0, 1.0);
    let shortest = blocks.last().map_or(1, |block| block.tokens);
    let density = score / f64::from(u32::try_from(shortest).unwrap_or(u32::MAX).max(1));
    let ranked = Ranked {
        candidate,
        blocks,
        score,
    };
    Waiting {
        ranked,
        words,
        density,
        likeness: 0.0,
    }
}

/// The place of the next: the first, while it is not a matter of relevance.
fn choose(waiting: &[Waiting], densest: f64, lambda: f64) -> usize {
    if waiting.first().is_some_and(|first| first.ranked.class() < 4) {
        return 0;
    }
    let worth = |one: &Waiting| lambda * (one.density / densest) - (1.0 - lambda) * one.likeness;
    let mut best = (0, f64::MIN);
    for (place, one) in waiting.iter().enumerate() {
        let worth = worth(one);
        if worth > best.1 {
            best = (place, worth);
        }
    }
    best.0
}

/// How much of the words is common to two texts: Jaccard's index.
fn likeness(words: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let common = words.intersection(other).count();
    let all = words.len() + other.len() - common;
    if all == 0 { 1.0 } else { count(common) / count(all) }
}

#[cfg(test)]
mod tests;
