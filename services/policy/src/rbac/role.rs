//! The eight roles, each of which but `Agent` includes those below it.
//!
//! The order is the ladder of `builtin.cedar`; a test holds both together.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A role in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Role {
    /// A program that acts for somebody.
    Agent,
    /// Reads.
    Viewer,
    /// Writes memories, proposes knowledge, asks for approvals.
    Developer,
    /// Makes policies, approves, reads the audit log.
    TechLead,
    /// Changes and activates policies.
    Architect,
    /// Configures, grants roles, cancels requests of others.
    Admin,
    /// Everything in the tenant.
    TenantAdmin,
    /// Everything in all tenants that its token names.
    PlatformAdmin,
}

impl Role {
    /// All roles, lowest first.
    pub const ALL: [Self; 8] = [
        Self::Agent,
        Self::Viewer,
        Self::Developer,
        Self::TechLead,
        Self::Architect,
        Self::Admin,
        Self::TenantAdmin,
        Self::PlatformAdmin,
    ];

    /// Reads a role's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Returns its name, as tokens and policies spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "Agent",
            Self::Viewer => "Viewer",
            Self::Developer => "Developer",
            Self::TechLead => "TechLead",
            Self::Architect => "Architect",
            Self::Admin => "Admin",
            Self::TenantAdmin => "TenantAdmin",
            Self::PlatformAdmin => "PlatformAdmin",
        }
    }

    /// Returns the role that it includes directly.
    #[must_use]
    pub fn below(self) -> Option<Self> {
        match self {
            Self::Agent | Self::Viewer => None,
            Self::Developer => Some(Self::Viewer),
            Self::TechLead => Some(Self::Developer),
            Self::Architect => Some(Self::TechLead),
            Self::Admin => Some(Self::Architect),
            Self::TenantAdmin => Some(Self::Admin),
            Self::PlatformAdmin => Some(Self::TenantAdmin),
        }
    }

    /// Tells whether who holds this role may do what `other` may. An agent's role is beside the ladder.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == other || (self != Self::Agent && other != Self::Agent && self >= other)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
        }
        assert_eq!(Role::parse("viewer"), None);
    }

    #[test]
    fn the_ladder_and_the_order_say_the_same() {
        for role in Role::ALL {
            for other in Role::ALL {
                let mut climbs = Some(role);
                while climbs.is_some_and(|at| at != other) {
                    climbs = climbs.and_then(Role::below);
                }
                assert_eq!(role.includes(other), climbs.is_some(), "{role} {other}");
            }
        }
    }
}
