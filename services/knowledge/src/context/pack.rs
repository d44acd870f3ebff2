//! Spending the budget.
//!
//! First everybody in order gets a place in the shortest form, until one does not fit: it and all behind it are dropped. So
//! what less budget holds, more holds as well. Then what is left is spent on fuller forms: policies in their order, then
//! whoever gains most score for a token. A fuller form never costs another its place.

use super::rank::Ranked;
use super::{Depth, PROLOGUE};
use crate::tokens;

/// What was chosen of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// Its place in the order.
    pub place: usize,
    /// How much of it.
    pub depth: Depth,
    /// Its tokens.
    pub tokens: usize,
    block: usize,
}

/// A context that holds its budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The text; empty when not even one block has room.
    pub content: String,
    /// Its tokens.
    pub tokens: usize,
    /// What is in it, in order.
    pub chosen: Vec<Chosen>,
}

/// Spends a budget on candidates in their order.
#[must_use]
pub fn pack(ranked: &[Ranked], budget: usize) -> Packed {
    let prologue = tokens::count(PROLOGUE);
    let (mut chosen, mut spent) = (Vec::new(), prologue);
    for (place, one) in ranked.iter().enumerate() {
        let Some((block, shortest)) = one.blocks.iter().enumerate().next_back() else {
            continue;
        };
        if spent + shortest.tokens > budget {
            break;
        }
        spent += shortest.tokens;
        chosen.push(Chosen {
            place,
            depth: shortest.depth,
            tokens: shortest.tokens,
            block,
        });
    }
    if chosen.is_empty() {
        let (content, tokens) = (String::new(), 0);
        return Packed {
            content,
            tokens,
            chosen,
        };
    }
    while let Some((which, block)) = best_deepening(ranked, &chosen, budget - spent) {
        deepen(ranked, &mut chosen, &mut spent, which, block);
    }
    let texts = chosen
        .iter()
        .filter_map(|one| ranked.get(one.place)?.blocks.get(one.block))
        .map(|block| block.text.as_str());
    Packed {
        content: std::iter::once(PROLOGUE).chain(texts).collect(),
        tokens: spent,
        chosen,
    }
}

/// Finds the fuller form to buy next: which of the chosen, and which of its blocks.
fn best_deepening(ranked: &[Ranked], chosen: &[Chosen], left: usize) -> Option<(usize, usize)> {
    let mut best: Option<(usize, usize, (u8, f64))> = None;
    for (which, one) in chosen.iter().enumerate() {
        let Some(candidate) = ranked.get(one.place) else {
            continue;
        };
        for (block, fuller) in candidate.blocks.iter().enumerate().take(one.block) {
            let cost = fuller.tokens.saturating_sub(one.tokens);
            if cost > left {
                continue;
            }
            // Classes below the last go in their order, whatever they cost.
            let class = candidate.class();
            let gain = if class < 4 {
                f64::MAX
            } else {
                candidate.score / f64::from(u32::try_from(cost).unwrap_or(u32::MAX).max(1))
            };
            if best.is_none_or(|(.., (known, most))| class < known || (class == known && gain > most)) {
                best = Some((which, block, (class, gain)));
            }
        }
    }
    best.map(|(which, block, _)| (which, block))
}

fn deepen(ranked: &[Ranked], chosen: &mut [Chosen], spent: &mut usize, which: usize, block: usize) {
    if let Some(one) = chosen.get_mut(which)
        && let Some(fuller) = ranked.get(one.place).and_then(|candidate| candidate.blocks.get(block))
    {
        *spent += fuller.tokens.saturating_sub(one.tokens);
        one.depth = fuller.depth;
        one.tokens = fuller.tokens;
        one.block = block;
    }
}

#[cfg(test)]
mod tests;
