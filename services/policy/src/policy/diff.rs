//! What differs between two versions: fields by their pointers, rules by their ids, Cedar text by lines.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Document;

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Change {
    /// Where: `/mode`, or `/rules/{id}` for a rule by its id.
    pub pointer: String,
    /// What it was; absent when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is; absent when it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The differences of two documents, fields before rules.
#[must_use]
pub fn fields(before: &Document, after: &Document) -> Vec<Change> {
    let flat = |document: &Document| {
        let mut fields = json!(document);
        let fields = fields.as_object_mut().map(std::mem::take).unwrap_or_default();
        let kept = fields
            .into_iter()
            .filter(|(name, _)| name != "rules" && name != "cedar");
        let rules = document
            .rules
            .iter()
            .map(|rule| (format!("rules/{}", rule.id), json!(rule)));
        kept.chain(rules).collect::<std::collections::BTreeMap<String, Value>>()
    };
    let (before, after) = (flat(before), flat(after));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Change {
            pointer: format!("/{name}"),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// The lines of two texts: those of both behind a space, those that went behind `-`, those that came behind `+`.
#[must_use]
pub fn lines(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let width = new.len() + 1;
    // common[i * width + j]: the length of the longest common subsequence of old[i..] and new[j..].
    let mut common = vec![0_u32; (old.len() + 1) * width];
    let at = |common: &[u32], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, gone) in old.iter().enumerate().rev() {
        for (j, come) in new.iter().enumerate().rev() {
            let longest = if gone == come {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = longest;
            }
        }
    }
    let (mut i, mut j, mut shown) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(gone), Some(come)) if gone == come => {
                shown.push(format!(" {gone}"));
                (i, j) = (i + 1, j + 1);
            }
            (Some(gone), come) if come.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                shown.push(format!("-{gone}"));
                i += 1;
            }
            (_, Some(come)) => {
                shown.push(format!("+{come}"));
                j += 1;
            }
            (_, None) => return shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_changed_line_is_one_that_went_and_one_that_came() {
        assert_eq!(lines("a\nb\nc", "a\nx\nc"), [" a", "-b", "+x", " c"]);
        assert!(lines("", "").is_empty());
    }

    proptest! {
        #[test]
        fn either_side_can_be_read_from_the_lines(
            old in proptest::collection::vec("[a-c]", 0..8), new in proptest::collection::vec("[a-c]", 0..8)
        ) {
            let shown = lines(&old.join("\n"), &new.join("\n"));
            let side = |other: char| -> Vec<String> {
                shown.iter().filter(|line| !line.starts_with(other)).map(|line| line[1..].to_owned()).collect()
            };
            prop_assert_eq!(side('+'), old);
            prop_assert_eq!(side('-'), new);
        }
    }
}
