//! Whether a wait is over. Pure: a status in, an outcome out.

use aeterna_crds::v1alpha1::{ConditionType, TenantShard, VerificationStatus, find_condition};

/// What a status says about a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not yet.
    Waiting,
    /// What was asked for is there.
    Reached,
    /// It needs somebody's help.
    Stalled {
        /// The reason in the condition.
        reason: String,
        /// Its message.
        message: String,
    },
}

/// Tells whether the tenant is on `shard`, for at least this generation of its spec.
#[must_use]
pub fn judge_placement(object: &TenantShard, shard: &str, generation: i64) -> Outcome {
    let Some(status) = &object.status else {
        return Outcome::Waiting;
    };
    let about = |kind| {
        find_condition(&status.conditions, kind).filter(|condition| condition.observed_generation >= Some(generation))
    };
    if let Some(stalled) = about(ConditionType::Stalled).filter(|stalled| stalled.status == "True") {
        return Outcome::Stalled {
            reason: stalled.reason.clone(),
            message: stalled.message.clone(),
        };
    }
    let ready = about(ConditionType::Ready).is_some_and(|ready| ready.status == "True");
    let there = status
        .placement
        .as_ref()
        .is_some_and(|placement| placement.shard == shard);
    if ready && there {
        Outcome::Reached
    } else {
        Outcome::Waiting
    }
}

/// Returns the answer to a request, when it is there.
#[must_use]
pub fn find_answer<'a>(object: &'a TenantShard, request: &str) -> Option<&'a VerificationStatus> {
    let answer = object.status.as_ref()?.verification.as_ref()?;
    (answer.request_id == request && answer.finished_at.is_some()).then_some(answer)
}

/// Tells whether an answer is clean: nothing differed, or all that did was repaired.
#[must_use]
pub fn is_clean(answer: &VerificationStatus) -> bool {
    answer.foreign == 0 && answer.missing + answer.stale + answer.orphaned <= answer.repaired
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(status: &Value) -> TenantShard {
        serde_json::from_value(json!({
            "apiVersion": "aeterna.dev/v1alpha1", "kind": "TenantShard", "metadata": {"name": "a"},
            "spec": {"tenantId": "a"}, "status": status,
        }))
        .expect("valid")
    }

    fn condition(kind: &str, status: &str, generation: i64) -> Value {
        json!({"type": kind, "status": status, "reason": "R", "message": "m", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn a_ready_condition_of_an_older_spec_is_not_ours() {
        let status = |generation| {
            json!({"placement": {"shard": "s", "collection": "c", "generation": 1, "model": "m"},
            "conditions": [condition("Ready", "True", generation)]})
        };
        assert_eq!(judge_placement(&object(&status(1)), "s", 2), Outcome::Waiting);
        assert_eq!(judge_placement(&object(&status(2)), "s", 2), Outcome::Reached);
        assert_eq!(judge_placement(&object(&status(2)), "other", 2), Outcome::Waiting);
    }

    #[test]
    fn a_stalled_tenant_is_not_waited_for() {
        let status = json!({"conditions": [condition("Stalled", "True", 2), condition("Ready", "False", 2)]});
        assert!(matches!(
            judge_placement(&object(&status), "s", 2),
            Outcome::Stalled { .. }
        ));
    }

    #[test]
    fn only_a_finished_answer_to_our_own_request_counts() {
        let answer = |request: &str, finished: Option<&str>| {
            let mut verification = json!({"requestId": request, "compared": 1, "missing": 0, "stale": 0, "orphaned": 0,
                "foreign": 0, "repaired": 0});
            if let (Some(at), Some(fields)) = (finished, verification.as_object_mut()) {
                fields.insert("finishedAt".to_owned(), json!(at));
            }
            object(&json!({"verification": verification}))
        };
        assert!(find_answer(&answer("r", None), "r").is_none());
        assert!(find_answer(&answer("x", Some("2026-01-01T00:00:00Z")), "r").is_none());
        assert!(find_answer(&answer("r", Some("2026-01-01T00:00:00Z")), "r").is_some());
    }

    #[test]
    fn differences_that_were_repaired_are_clean_and_foreign_points_never_are() {
        let answer = VerificationStatus {
            missing: 2,
            repaired: 2,
            ..VerificationStatus::default()
        };
        assert!(is_clean(&answer));
        assert!(!is_clean(&VerificationStatus {
            repaired: 1,
            ..answer.clone()
        }));
        assert!(!is_clean(&VerificationStatus { foreign: 1, ..answer }));
    }
}
