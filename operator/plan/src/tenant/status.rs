//! The status of a tenant.

use aeterna_crds::v1alpha1::{
    ConditionType, MoveStatus, PastMove, PlacementStatus, Reason, TenantShardStatus, VerificationStatus,
};
use jiff::Timestamp;

use crate::report::{Because, Conditions, Holds};

/// Whether the tenant's memories can be written and searched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Serving {
    /// Its stores answer.
    Yes,
    /// One of its stores does not.
    No(Because),
    /// Nobody has looked.
    #[default]
    Unknown,
}

/// What there is to report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Where the tenant is, as far as it is known.
    pub placement: Option<PlacementStatus>,
    /// Whether it can be used there.
    pub serving: Serving,
    /// The shard that the spec asks for.
    pub wanted: Option<String>,
    /// The move that runs or whose source is kept or cleaned.
    pub moving: Option<MoveStatus>,
    /// Whether that move has switched the route.
    pub switched: bool,
    /// Moves that ended, newest first.
    pub last_moves: Vec<PastMove>,
    /// The verification that was asked for last.
    pub verification: Option<VerificationStatus>,
    /// What keeps the operator from going on.
    pub trouble: Option<Because>,
}

/// Derives the status. A move whose source is kept or cleaned does not make the tenant unready: it is where it should be.
#[must_use]
pub fn derive_status(
    old: Option<&TenantShardStatus>,
    generation: Option<i64>,
    report: Report,
    now: Timestamp,
) -> TenantShardStatus {
    let because = derive_reason(&report);
    let conditions = old.map(|old| old.conditions.as_slice()).unwrap_or_default();
    let mut conditions = Conditions::after(conditions, generation, now);
    conditions.set_outcome(because.reason == Reason::AsWanted, &because);
    match (&report.placement, &report.serving) {
        (Some(placement), Serving::Yes) => {
            let message = format!(
                "searches and writes go to {} ({})",
                placement.shard, placement.collection
            );
            let because = Because::new(Reason::AsWanted, message);
            conditions.set(ConditionType::Serving, Holds::True, &because);
        }
        (Some(_), Serving::No(why)) => conditions.set(ConditionType::Serving, Holds::False, why),
        (Some(_), Serving::Unknown) | (None, _) => conditions.set(ConditionType::Serving, Holds::Unknown, &because),
    }
    TenantShardStatus {
        observed_generation: generation,
        conditions: conditions.finish(),
        placement: report.placement.or_else(|| old.and_then(|old| old.placement.clone())),
        moving: report.moving,
        verification: report
            .verification
            .or_else(|| old.and_then(|old| old.verification.clone())),
        last_moves: report.last_moves,
    }
}

fn derive_reason(report: &Report) -> Because {
    if let Some(trouble) = &report.trouble {
        return trouble.clone();
    }
    if let Some(moving) = report.moving.as_ref().filter(|_| !report.switched) {
        if let Some(error) = &moving.error {
            let message = format!("step {} failed and is tried again: {error}", moving.step);
            return Because::new(Reason::MoveFailing, message);
        }
        let waiting = moving
            .waiting_for
            .as_ref()
            .map_or_else(String::new, |what| format!(", waiting for {what}"));
        let message = format!(
            "moving from {} to {}: step {}{waiting}",
            moving.source, moving.target, moving.step
        );
        return Because::new(Reason::Moving, message);
    }
    match (&report.placement, &report.wanted) {
        (Some(placement), Some(wanted)) if placement.shard == *wanted => {
            Because::new(Reason::AsWanted, format!("the tenant is on {}", placement.shard))
        }
        (_, wanted) => {
            let wanted = wanted.as_deref().unwrap_or("a shared shard");
            Because::new(Reason::Moving, format!("on the way to {wanted}"))
        }
    }
}

/// Tells whether two statuses differ in nothing but the counters of a running move, which may wait for some seconds.
#[must_use]
pub fn same_but_progress(a: &TenantShardStatus, b: &TenantShardStatus) -> bool {
    let still = |status: &TenantShardStatus| {
        let mut status = status.clone();
        if let Some(moving) = &mut status.moving {
            *moving = MoveStatus {
                id: moving.id.clone(),
                step: moving.step.clone(),
                error: moving.error.clone(),
                write_pause_microseconds: moving.write_pause_microseconds,
                ..MoveStatus::default()
            };
        }
        for condition in &mut status.conditions {
            // The message tells the counters' story too.
            condition.message.clear();
        }
        status
    };
    still(a) == still(b)
}

#[cfg(test)]
mod tests {
    use aeterna_crds::v1alpha1::find_condition;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    fn at(shard: &str) -> Report {
        let placement = PlacementStatus {
            shard: shard.to_owned(),
            ..PlacementStatus::default()
        };
        Report {
            placement: Some(placement),
            serving: Serving::Yes,
            wanted: Some("dedicated-a".to_owned()),
            ..Report::default()
        }
    }

    fn moving(step: &str) -> MoveStatus {
        MoveStatus {
            step: step.to_owned(),
            ..MoveStatus::default()
        }
    }

    fn ready(report: Report) -> (String, String) {
        let status = derive_status(None, Some(1), report, now());
        let ready = find_condition(&status.conditions, ConditionType::Ready).expect("set on the first visit");
        (ready.status.clone(), ready.reason.clone())
    }

    #[test]
    fn a_moving_tenant_serves_and_is_not_ready() {
        let report = Report {
            moving: Some(moving("Copy")),
            ..at("shared-shard-1")
        };
        let status = derive_status(None, Some(1), report.clone(), now());
        let serving = find_condition(&status.conditions, ConditionType::Serving).expect("set");
        assert_eq!(serving.status, "True");
        assert_eq!(ready(report), ("False".to_owned(), "Moving".to_owned()));
    }

    #[test]
    fn a_tenant_whose_store_is_away_does_not_serve_and_one_that_nobody_looked_at_is_unknown() {
        let serving = |serving| {
            let report = Report {
                serving,
                ..at("dedicated-a")
            };
            let status = derive_status(None, Some(1), report, now());
            let found = find_condition(&status.conditions, ConditionType::Serving).expect("set");
            (found.status.clone(), found.reason.clone())
        };
        let away = Because::new(Reason::VectorStoreUnreachable, "no answer");
        assert_eq!(
            serving(Serving::No(away)),
            ("False".to_owned(), "VectorStoreUnreachable".to_owned())
        );
        assert_eq!(serving(Serving::Unknown).0, "Unknown");
    }

    #[test]
    fn a_move_in_its_retention_is_ready() {
        let report = Report {
            moving: Some(moving("Retain")),
            switched: true,
            ..at("dedicated-a")
        };
        assert_eq!(ready(report), ("True".to_owned(), "AsWanted".to_owned()));
    }

    #[test]
    fn a_failing_step_is_told_and_goes_on() {
        let failing = MoveStatus {
            error: Some("no answer".to_owned()),
            ..moving("Copy")
        };
        let report = Report {
            moving: Some(failing),
            ..at("shared-shard-1")
        };
        assert_eq!(ready(report), ("False".to_owned(), "MoveFailing".to_owned()));
    }

    #[test]
    fn counters_are_progress_and_steps_are_not() {
        let with = |copied, step| {
            let moving = MoveStatus { copied, ..moving(step) };
            derive_status(
                None,
                Some(1),
                Report {
                    moving: Some(moving),
                    ..at("s")
                },
                now(),
            )
        };
        assert!(same_but_progress(&with(1, "Copy"), &with(2, "Copy")));
        assert!(!same_but_progress(&with(1, "Copy"), &with(1, "Verify")));
    }
}
