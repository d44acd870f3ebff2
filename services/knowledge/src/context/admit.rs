//! Who comes into question: which item may be told to whom.
//!
//! Pure, and the last place to be wrong about it: the database has looked already, under row-level security and with the
//! reader's name.

use super::{Candidate, Source};
use crate::access::Rights;
use crate::item::{Kind, Layer, Status, Stored};

/// Statuses of what is told without being pinned: what holds, or may soon.
pub const TOLD: [Status; 2] = [Status::Accepted, Status::Proposed];

/// How an item came to be looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// How much it has to do with the question, 0 to 1.
    pub relevance: f64,
    /// Nothing but the graph led to it.
    pub by_graph_alone: bool,
    /// The caller named it.
    pub pinned: bool,
}

/// Makes a candidate of an item, if this reader may be told it. The graph knows nothing of the layers that were asked for, and
/// may be a moment old.
#[must_use]
pub fn admit(stored: Stored, rights: &Rights, layers: &[Layer], found: Found) -> Option<Candidate> {
    let attributes = stored.snapshot.attributes;
    if stored.deleted || !rights.may_read(&stored.author, attributes.status) {
        return None;
    }
    let fits = TOLD.contains(&attributes.status) && (layers.is_empty() || layers.contains(&attributes.layer));
    if found.by_graph_alone && !found.pinned && !fits {
        return None;
    }
    let source = match attributes.kind {
        // A policy holds once it is accepted; before, it is a text like others.
        Kind::Policy if attributes.status == Status::Accepted => Source::Policy,
        Kind::Note => Source::Note,
        Kind::Policy | Kind::Adr | Kind::Pattern | Kind::Spec | Kind::Hindsight => Source::Knowledge,
    };
    Some(Candidate {
        reference: format!("knowledge:{}@{}", stored.path, stored.version),
        source,
        layer: attributes.layer.as_str().to_owned(),
        title: Some(attributes.title),
        summary: attributes.summary,
        text: stored.snapshot.body,
        relevance: found.relevance,
        severity: attributes.severity,
        pinned: found.pinned,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::Map;
    use uuid::Uuid;

    use super::*;
    use crate::context::pack::pack;
    use crate::context::rank::{Taste, rank};
    use crate::item::kind::KINDS;
    use crate::item::layer::LAYERS;
    use crate::item::status::STATUSES;
    use crate::item::{Attributes, Severity, Snapshot};

    fn stored() -> impl Strategy<Value = Stored> {
        let kind = proptest::sample::select(KINDS.to_vec());
        let layer = proptest::sample::select(LAYERS.to_vec());
        let status = proptest::sample::select(STATUSES.to_vec());
        let author = proptest::sample::select(vec!["ann", "ben"]);
        let severity = proptest::sample::select(vec![Severity::Info, Severity::Block]);
        let whether = proptest::bool::weighted(0.1);
        (
            kind,
            layer,
            status,
            author,
            severity,
            whether,
            any::<u32>(),
            "[a-z ]{0,40}",
        )
            .prop_map(|(kind, layer, status, author, severity, deleted, n, text)| {
                let attributes = Attributes {
                    title: format!("title{n}"),
                    kind,
                    layer,
                    status,
                    severity,
                    summary: None,
                    tags: Vec::new(),
                    supersedes: None,
                    metadata: Map::new(),
                };
                // What it says names whose it is and what it is, so that a leak shows in the text.
                let body = format!("mark-{author}-{}-{deleted} {text}\n", status.as_str());
                Stored {
                    id: Uuid::from_u128(u128::from(n)),
                    path: format!("p{n}"),
                    snapshot: Snapshot { attributes, body },
                    version: 1,
                    hash: Vec::new(),
                    superseded_by: None,
                    author: author.to_owned(),
                    created_at: Timestamp::UNIX_EPOCH,
                    updated_at: Timestamp::UNIX_EPOCH,
                    deleted,
                }
            })
    }

    fn found() -> impl Strategy<Value = Found> {
        (0.0..=1.0_f64, any::<bool>(), any::<bool>()).prop_map(|(relevance, by_graph_alone, pinned)| Found {
            relevance,
            by_graph_alone,
            pinned,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn nothing_is_told_that_the_reader_may_not_read(
            items in proptest::collection::vec((stored(), found()), 0..5), budget in 30_usize..500,
            layers in proptest::sample::subsequence(LAYERS.to_vec(), 0..=4), role in "Viewer|Developer|TechLead|Agent|",
        ) {
            let rights = Rights::from_roles("ann", &[role]);
            let admitted = items.iter().filter_map(|(one, how)| admit(one.clone(), &rights, &layers, *how)).collect();
            let (ranked, left_out) = rank(admitted, "a question", Taste { min_relevance: 0.0, lambda: 0.5 });
            let told = pack(&ranked, budget).content;
            prop_assert!(!told.contains("-true"), "what was deleted is told: {told}");
            prop_assert!(rights.may_edit() || !told.contains("mark-ben-draft"), "another's draft is told: {told}");
            for (one, how) in &items {
                let reference = format!("knowledge:{}@1", one.path);
                let named = ranked.iter().any(|ranked| ranked.candidate.reference == reference)
                    || left_out.iter().any(|(left, _)| *left == reference);
                let other_layer = !layers.is_empty() && !layers.contains(&one.snapshot.attributes.layer);
                let same_id = items.iter().filter(|(other, _)| other.path == one.path).count() > 1;
                prop_assert!(same_id || !(named && how.by_graph_alone && !how.pinned && other_layer));
                prop_assert!(same_id || !named || rights.may_read(&one.author, one.snapshot.attributes.status));
            }
        }
    }
}
