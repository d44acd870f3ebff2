//! Which roles count, of those that a token says and those that this service remembers.

use std::collections::BTreeSet;

use super::Role;

/// Where a remembered role comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Given here; stays until it is revoked.
    Grant,
    /// Seen in a token; goes when a token comes without it.
    Token,
}

/// A remembered role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The role.
    pub role: Role,
    /// Where it comes from.
    pub source: Source,
    /// It was taken away; no token gives it back.
    pub revoked: bool,
}

/// What follows from a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The roles that count now.
    pub roles: Vec<Role>,
    /// To remember: in the token, and not known yet.
    pub seen: Vec<Role>,
    /// To forget: known from an earlier token alone.
    pub gone: Vec<Role>,
}

/// Settles a token's roles with what is remembered of its subject. What is an agent, its token alone says: as a granted role
/// `Agent` would take from a human all that agents may not do.
#[must_use]
pub fn settle(token: &[Role], known: &[Holding]) -> Settled {
    let token: BTreeSet<Role> = token.iter().copied().collect();
    let known: Vec<&Holding> = known.iter().filter(|holding| holding.role != Role::Agent).collect();
    let with = |wanted: &dyn Fn(&Holding) -> bool| -> BTreeSet<Role> {
        known
            .iter()
            .filter(|holding| wanted(holding))
            .map(|holding| holding.role)
            .collect()
    };
    let revoked = with(&|holding| holding.revoked);
    let granted = with(&|holding| !holding.revoked && holding.source == Source::Grant);
    let remembered = with(&|_| true);
    let gone = with(&|holding| !holding.revoked && holding.source == Source::Token && !token.contains(&holding.role));
    Settled {
        roles: token
            .union(&granted)
            .filter(|role| !revoked.contains(role))
            .copied()
            .collect(),
        seen: token.difference(&remembered).copied().collect(),
        gone: gone.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(role: Role, source: Source, revoked: bool) -> Holding {
        Holding { role, source, revoked }
    }

    #[test]
    fn a_revoked_role_does_not_count_whatever_the_token_says() {
        let known = [
            known(Role::Admin, Source::Token, true),
            known(Role::TechLead, Source::Grant, true),
        ];
        let settled = settle(&[Role::Admin, Role::TechLead, Role::Viewer], &known);
        assert_eq!(settled.roles, [Role::Viewer]);
        assert_eq!((settled.seen, settled.gone), (vec![Role::Viewer], vec![]));
    }

    #[test]
    fn who_is_an_agent_his_token_says_alone() {
        let granted = [known(Role::Agent, Source::Grant, false)];
        assert_eq!(settle(&[Role::Admin], &granted).roles, [Role::Admin]);
        let revoked = [known(Role::Agent, Source::Grant, true)];
        assert_eq!(settle(&[Role::Agent], &revoked).roles, [Role::Agent]);
    }

    #[test]
    fn a_granted_role_counts_without_a_token_and_one_of_an_earlier_token_does_not() {
        let known = [
            known(Role::Architect, Source::Grant, false),
            known(Role::Admin, Source::Token, false),
        ];
        let settled = settle(&[], &known);
        assert_eq!(settled.roles, [Role::Architect]);
        assert_eq!(settled.gone, [Role::Admin]);
    }
}
