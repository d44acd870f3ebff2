//! What a tenant needs next.

use aeterna_crds::v1alpha1::{Placement, PlacementMode};

/// Where a move stands, as far as planning cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Before the switch: it can be cancelled, and blocks another move.
    BeforeSwitch,
    /// After the switch: the source is kept or cleaned.
    AfterSwitch,
    /// Ended.
    Ended,
}

/// A move, as far as planning cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveView {
    /// Its id.
    pub id: String,
    /// Where it goes.
    pub target: String,
    /// Where it stands.
    pub step: Step,
}

/// What was seen of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The shard that its route names.
    pub shard: String,
    /// Whether that shard is a shared one.
    pub is_shared: bool,
    /// Whether the move that has not switched yet, if there is one, goes to a shared shard.
    pub heads_for_shared: bool,
    /// Its moves, newest first.
    pub moves: Vec<MoveView>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the tenant is where it should be.
    Nothing,
    /// Wait: the right move runs.
    Follow,
    /// Cancel this move: the spec asks for something else now.
    Cancel(String),
    /// Record a move to this shard.
    Move(String),
}

/// Names the shard that a placement asks for; `None` when any shared one will do and the tenant has none yet.
#[must_use]
pub fn wanted_shard(placement: &Placement, default_dedicated: &str, seen: Option<&Seen>) -> Option<String> {
    match placement.mode {
        PlacementMode::Dedicated => {
            let named = placement
                .dedicated
                .as_ref()
                .and_then(|dedicated| dedicated.name.clone());
            Some(named.unwrap_or_else(|| default_dedicated.to_owned()))
        }
        PlacementMode::Shared => placement
            .shared
            .as_ref()
            .map(|shared| shared.shard.clone())
            // Chosen once: a tenant on a shared shard stays there.
            .or_else(|| seen.filter(|seen| seen.is_shared).map(|seen| seen.shard.clone()))
            // And one that is on its way to a shared shard goes on.
            .or_else(|| {
                let seen = seen.filter(|seen| seen.heads_for_shared)?;
                let running = seen.moves.iter().find(|moving| moving.step == Step::BeforeSwitch)?;
                Some(running.target.clone())
            }),
    }
}

/// Plans the next action. The spec wins: a move to another place is cancelled first.
#[must_use]
pub fn plan_next(wanted: &str, seen: &Seen) -> Action {
    let running = seen.moves.iter().find(|moving| moving.step == Step::BeforeSwitch);
    match running {
        Some(moving) if moving.target == wanted => Action::Follow,
        Some(moving) => Action::Cancel(moving.id.clone()),
        None if seen.shard != wanted => Action::Move(wanted.to_owned()),
        None if seen.moves.iter().any(|moving| moving.step == Step::AfterSwitch) => Action::Follow,
        None => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use aeterna_crds::v1alpha1::{DedicatedPlacement, SharedPlacement};

    use super::*;

    fn seen(shard: &str, moves: &[(&str, Step)]) -> Seen {
        let moves = moves.iter().map(|(target, step)| MoveView {
            id: format!("to-{target}"),
            target: (*target).to_owned(),
            step: *step,
        });
        Seen {
            shard: shard.to_owned(),
            is_shared: shard.starts_with("shared"),
            heads_for_shared: false,
            moves: moves.collect(),
        }
    }

    fn placement(mode: PlacementMode) -> Placement {
        Placement {
            mode,
            shared: None,
            dedicated: None,
        }
    }

    #[test]
    fn a_tenant_that_is_where_it_should_be_needs_nothing() {
        assert_eq!(
            plan_next("shared-shard-1", &seen("shared-shard-1", &[])),
            Action::Nothing
        );
        let ended = seen("dedicated-a", &[("dedicated-a", Step::Ended)]);
        assert_eq!(plan_next("dedicated-a", &ended), Action::Nothing);
    }

    #[test]
    fn a_tenant_that_is_elsewhere_moves_and_a_running_move_is_followed() {
        assert_eq!(
            plan_next("dedicated-a", &seen("s", &[])),
            Action::Move("dedicated-a".to_owned())
        );
        assert_eq!(
            plan_next("dedicated-a", &seen("s", &[("dedicated-a", Step::BeforeSwitch)])),
            Action::Follow
        );
        assert_eq!(
            plan_next(
                "dedicated-a",
                &seen("dedicated-a", &[("dedicated-a", Step::AfterSwitch)])
            ),
            Action::Follow
        );
    }

    #[test]
    fn a_move_to_another_place_is_cancelled_first() {
        let running = seen("s", &[("dedicated-a", Step::BeforeSwitch)]);
        assert_eq!(plan_next("s", &running), Action::Cancel("to-dedicated-a".to_owned()));
        assert_eq!(
            plan_next("dedicated-b", &running),
            Action::Cancel("to-dedicated-a".to_owned())
        );
    }

    #[test]
    fn going_back_while_the_source_is_kept_is_a_move() {
        let kept = seen("dedicated-a", &[("dedicated-a", Step::AfterSwitch)]);
        assert_eq!(plan_next("s", &kept), Action::Move("s".to_owned()));
    }

    #[test]
    fn the_placement_names_the_shard() {
        let named = DedicatedPlacement {
            name: Some("dedicated-1".to_owned()),
        };
        let dedicated = Placement {
            dedicated: Some(named),
            ..placement(PlacementMode::Dedicated)
        };
        assert_eq!(
            wanted_shard(&dedicated, "dedicated-a", None).as_deref(),
            Some("dedicated-1")
        );
        let default = placement(PlacementMode::Dedicated);
        assert_eq!(
            wanted_shard(&default, "dedicated-a", None).as_deref(),
            Some("dedicated-a")
        );
        let shared = SharedPlacement {
            shard: "shared-shard-2".to_owned(),
        };
        let shared = Placement {
            shared: Some(shared),
            ..placement(PlacementMode::Shared)
        };
        assert_eq!(wanted_shard(&shared, "d", None).as_deref(), Some("shared-shard-2"));
    }

    #[test]
    fn a_shared_shard_that_was_chosen_once_is_kept() {
        let any = placement(PlacementMode::Shared);
        let there = seen("shared-shard-7", &[]);
        assert_eq!(wanted_shard(&any, "d", Some(&there)).as_deref(), Some("shared-shard-7"));
        // A name tells nothing about the kind.
        let on_the_way = Seen {
            heads_for_shared: true,
            ..seen("dedicated-a", &[("dedicated-to-many", Step::BeforeSwitch)])
        };
        assert_eq!(
            wanted_shard(&any, "d", Some(&on_the_way)).as_deref(),
            Some("dedicated-to-many")
        );
        let elsewhere = seen("dedicated-a", &[("mine", Step::BeforeSwitch)]);
        assert_eq!(wanted_shard(&any, "d", Some(&elsewhere)), None);
        assert_eq!(wanted_shard(&any, "d", Some(&seen("dedicated-a", &[]))), None);
    }
}
