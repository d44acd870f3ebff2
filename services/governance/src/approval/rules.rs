//! Which steps a request needs, and whether people enough are there for them.
//!
//! A caller may ask for more than its risk demands, never for less. A rule that the people known at that moment can never
//! satisfy is refused when it is made, not when its time runs out: every step needs its own people, for one vote counts in
//! one step, and who asks is none of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Step;
use crate::rbac::Role;

/// How much harm it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// One TechLead.
    Low,
    /// One Architect.
    Medium,
    /// Two Architects, and a justification.
    High,
    /// Two Architects, then an Admin, and a justification.
    Critical,
}

impl Risk {
    /// Tells whether a request must say why.
    #[must_use]
    pub fn needs_justification(self) -> bool {
        self >= Self::High
    }

    /// Returns the least that is asked for.
    #[must_use]
    pub fn steps(self) -> Vec<Step> {
        let step = |required, role| Step {
            required,
            roles: vec![role],
        };
        match self {
            Self::Low => vec![step(1, Role::TechLead)],
            Self::Medium => vec![step(1, Role::Architect)],
            Self::High => vec![step(2, Role::Architect)],
            Self::Critical => vec![step(2, Role::Architect), step(1, Role::Admin)],
        }
    }
}

/// Most steps, most people of a step, and most roles of one.
const LIMITS: (usize, u32, usize) = (5, 10, 8);

/// Checks steps that a caller asks for.
///
/// # Errors
/// What is wrong: their form, or that they ask for less than the risk demands.
pub fn check(steps: &[Step], risk: Risk) -> Result<(), &'static str> {
    let (most, people, roles) = LIMITS;
    if !(1..=most).contains(&steps.len()) {
        return Err("1 to 5 steps");
    }
    for step in steps {
        if !(1..=people).contains(&step.required) || !(1..=roles).contains(&step.roles.len()) {
            return Err("1 to 10 people of 1 to 8 roles a step");
        }
        // Whoever may not decide at all is no approver.
        if step.roles.iter().any(|role| !role.includes(Role::TechLead)) {
            return Err("approvers are TechLead or higher");
        }
    }
    // Each step that the risk demands is covered by steps asked for, in order, whose roles are as high.
    let mut asked = steps.iter();
    for wanted in risk.steps() {
        let mut people = 0;
        while people < wanted.required {
            let step = asked.next().ok_or("fewer approvers than the risk demands")?;
            if step
                .roles
                .iter()
                .all(|role| wanted.roles.iter().all(|least| role.includes(*least)))
            {
                people += step.required;
            }
        }
    }
    Ok(())
}

/// Returns the least risk of a request: of what a whole tenant hangs on, whoever asks for it may not say that it is little.
#[must_use]
pub fn floor(kind: &str, granted: Option<Role>) -> Risk {
    let high = matches!(kind, "tenant_migration" | "config") || granted.is_some_and(|role| role.includes(Role::Admin));
    if high { Risk::High } else { Risk::Low }
}

/// Checks that nobody approves what he could not do himself.
///
/// # Errors
/// When a step admits a role below the least.
pub fn check_least(steps: &[Step], least: Role) -> Result<(), &'static str> {
    let high = steps
        .iter()
        .flat_map(|step| &step.roles)
        .all(|role| role.includes(least));
    if high {
        Ok(())
    } else {
        Err("an approver's role is below what the payload does")
    }
}

/// Tells whether the people can satisfy the steps: different people enough for every place of every step.
#[must_use]
pub fn is_satisfiable(steps: &[Step], people: &[Vec<Role>]) -> bool {
    let places: Vec<&Step> = steps
        .iter()
        .flat_map(|step| std::iter::repeat_n(step, usize::try_from(step.required).unwrap_or(0)))
        .collect();
    // A matching of places and people: each place takes somebody, who may have to give way to a third.
    let mut taken: Vec<Option<usize>> = vec![None; people.len()];
    (0..places.len()).all(|place| {
        let mut asked = vec![false; people.len()];
        seat(place, &places, people, &mut taken, &mut asked)
    })
}

fn seat(place: usize, places: &[&Step], people: &[Vec<Role>], taken: &mut [Option<usize>], asked: &mut [bool]) -> bool {
    for (who, roles) in people.iter().enumerate() {
        let admitted = places.get(place).is_some_and(|step| step.admits(roles));
        if !admitted || asked.get(who).copied().unwrap_or(true) {
            continue;
        }
        if let Some(flag) = asked.get_mut(who) {
            *flag = true;
        }
        let before = taken.get(who).copied().flatten();
        if before.is_none_or(|before| seat(before, places, people, taken, asked)) {
            if let Some(seat) = taken.get_mut(who) {
                *seat = Some(place);
            }
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(required: u32, roles: &[Role]) -> Step {
        Step {
            required,
            roles: roles.to_vec(),
        }
    }

    #[test]
    fn more_than_the_risk_demands_may_be_asked_for_and_not_less() {
        assert!(check(&Risk::Critical.steps(), Risk::Critical).is_ok());
        assert!(
            check(
                &[step(3, &[Role::Admin]), step(1, &[Role::TenantAdmin])],
                Risk::Critical
            )
            .is_ok()
        );
        assert!(check(&[step(1, &[Role::Architect])], Risk::High).is_err());
        assert!(check(&[step(2, &[Role::TechLead, Role::Admin])], Risk::High).is_err());
        assert!(check(&[step(1, &[Role::Admin]), step(2, &[Role::Architect])], Risk::Critical).is_err());
        assert!(check(&[step(1, &[Role::TechLead]), step(1, &[Role::Architect])], Risk::Medium).is_ok());
        assert!(check(&[step(1, &[Role::Developer])], Risk::Low).is_err());
        assert!(check(&[step(1, &[Role::Agent])], Risk::Low).is_err());
        assert!(check(&[], Risk::Low).is_err());
        assert!(check(&[step(11, &[Role::TechLead])], Risk::Low).is_err());
    }

    #[test]
    fn one_person_does_not_fill_two_steps() {
        let steps = Risk::Critical.steps();
        let (architect, admin) = (vec![Role::Architect], vec![Role::Admin]);
        assert!(!is_satisfiable(&steps, &[admin.clone(), architect.clone()]));
        assert!(!is_satisfiable(
            &steps,
            &[architect.clone(), architect.clone(), architect.clone()]
        ));
        // The admin must be kept for the second step, in whatever order they come.
        assert!(is_satisfiable(&steps, &[admin, architect.clone(), architect]));
    }

    #[test]
    fn what_a_whole_tenant_hangs_on_is_of_high_risk() {
        for kind in ["tenant_migration", "config"] {
            assert_eq!(floor(kind, None), Risk::High);
        }
        assert_eq!(floor("role", Some(Role::Admin)), Risk::High);
        assert_eq!(floor("role", Some(Role::PlatformAdmin)), Risk::High);
        assert_eq!(floor("role", Some(Role::Architect)), Risk::Low);
        assert_eq!(floor("sync", None), Risk::Low);
    }

    fn by_trying(places: &[&Step], people: &mut Vec<Vec<Role>>) -> bool {
        let Some((first, rest)) = places.split_first() else {
            return true;
        };
        (0..people.len()).any(|n| {
            if !first.admits(&people[n]) {
                return false;
            }
            let somebody = people.remove(n);
            let fits = by_trying(rest, people);
            people.insert(n, somebody);
            fits
        })
    }

    proptest! {
        #[test]
        fn the_matching_says_what_trying_everything_says(
            steps in proptest::collection::vec((1_u32..3, prop::sample::select(Role::ALL.to_vec())), 1..4),
            people in proptest::collection::vec(prop::sample::subsequence(Role::ALL.to_vec(), 0..3), 0..6)
        ) {
            let steps: Vec<Step> = steps.into_iter().map(|(required, role)| step(required, &[role])).collect();
            let places: Vec<&Step> =
                steps.iter().flat_map(|step| std::iter::repeat_n(step, usize::try_from(step.required).expect("small"))).collect();
            prop_assert_eq!(is_satisfiable(&steps, &people), by_trying(&places, &mut people.clone()));
        }
    }
}
