//! What a caller's roles allow here, by the matrix of `docs/rbac.md`.
//!
//! Pure. Who may read: every member of the tenant, with one exception: a draft is seen by its author and by editors. Who holds
//! `knowledge.propose` writes drafts and proposals, and takes back or deletes those of its own; `knowledge.edit` does so with
//! those of others, rejects, deprecates and deletes; `knowledge.accept` accepts, and changes what is accepted. A caller
//! without any role reads.

use std::sync::LazyLock;

use aeterna_kit::auth::Caller;
use aeterna_policy::rbac::{Role, action, matrix};

use crate::item::Status;

/// A row of the matrix, as far as this service needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Allowed {
    propose: bool,
    edit: bool,
    accept: bool,
}

/// The engine is asked once a process: what a role may do by itself does not change.
static MATRIX: LazyLock<Vec<(Role, Allowed)>> = LazyLock::new(|| {
    let row = |role| Allowed {
        propose: matrix::allows(role, action::KNOWLEDGE_PROPOSE),
        edit: matrix::allows(role, action::KNOWLEDGE_EDIT),
        accept: matrix::allows(role, action::KNOWLEDGE_ACCEPT),
    };
    Role::ALL.into_iter().map(|role| (role, row(role))).collect()
});

fn allowed(role: Role) -> Allowed {
    let found = MATRIX.iter().find(|(known, _)| *known == role);
    found.map(|(_, allowed)| *allowed).unwrap_or_default()
}

/// What a caller may do in its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    subject: String,
    allowed: Allowed,
}

impl Rights {
    /// Reads a caller's roles.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        let mut roles = caller.roles.clone();
        // Whoever acts on behalf of somebody is an agent, also without the role.
        if caller.on_behalf_of.is_some() {
            roles.push(Role::Agent.name().to_owned());
        }
        Self::from_roles(&caller.subject, &roles)
    }

    /// Reads roles; unknown ones allow nothing.
    #[must_use]
    pub fn from_roles(subject: &str, roles: &[String]) -> Self {
        let roles: Vec<Role> = roles.iter().filter_map(|name| Role::parse(name)).collect();
        let has = |may: fn(Allowed) -> bool| roles.iter().any(|role| may(allowed(*role)));
        // Whoever acts as an agent approves nothing, whatever else its token says.
        let agent = roles.contains(&Role::Agent).then(|| allowed(Role::Agent));
        Self {
            subject: subject.to_owned(),
            allowed: Allowed {
                propose: has(|row| row.propose),
                edit: has(|row| row.edit) && agent.is_none_or(|row| row.edit),
                accept: has(|row| row.accept) && agent.is_none_or(|row| row.accept),
            },
        }
    }

    /// Returns who it is.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Tells whether they may write drafts and proposals.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.allowed.propose
    }

    /// Tells whether they may see and change what others are at, and end what holds.
    #[must_use]
    pub fn may_edit(&self) -> bool {
        self.allowed.edit
    }

    /// Tells whether they may accept, and change what is accepted.
    #[must_use]
    pub fn may_accept(&self) -> bool {
        self.allowed.accept
    }

    /// Tells whether they may read an item of this author and status.
    #[must_use]
    pub fn may_read(&self, author: &str, status: Status) -> bool {
        status != Status::Draft || self.may_edit() || self.subject == author
    }
}

#[cfg(test)]
mod tests {
    use aeterna_kit::auth::TenantScope;
    use aeterna_kit::ids::TenantId;

    use super::*;

    fn rights(roles: &[&str]) -> Rights {
        Rights::from_roles("ann", &roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn whoever_acts_for_somebody_is_an_agent() {
        let mut caller = Caller {
            scope: TenantScope::for_worker(TenantId::parse("acme").expect("a tenant")),
            subject: "bot".to_owned(),
            roles: vec!["Architect".to_owned()],
            on_behalf_of: None,
        };
        assert!(Rights::of(&caller).may_accept());
        caller.on_behalf_of = Some("ann".to_owned());
        let rights = Rights::of(&caller);
        assert!(rights.may_write() && !rights.may_edit() && !rights.may_accept());
    }

    #[test]
    fn each_role_may_do_what_the_matrix_says() {
        for role in Role::ALL {
            let rights = rights(&[role.name()]);
            let may = [rights.may_write(), rights.may_edit(), rights.may_accept()];
            let says = [
                action::KNOWLEDGE_PROPOSE,
                action::KNOWLEDGE_EDIT,
                action::KNOWLEDGE_ACCEPT,
            ]
            .map(|action| matrix::allows(role, action));
            assert_eq!(may, says, "{role}");
        }
        assert!(rights(&["TechLead"]).may_edit() && !rights(&["TechLead"]).may_accept());
    }

    #[test]
    fn a_viewer_reads_and_an_agent_never_reviews() {
        assert!(!rights(&["Viewer"]).may_write() && !rights(&[]).may_write() && !rights(&["Root"]).may_write());
        assert!(rights(&["Agent"]).may_write());
        let both = rights(&["Agent", "TenantAdmin"]);
        assert!(!both.may_edit() && !both.may_accept());
    }

    #[test]
    fn a_draft_is_its_authors_and_the_editors() {
        assert!(rights(&["Viewer"]).may_read("ann", Status::Draft));
        assert!(!rights(&["Developer"]).may_read("ben", Status::Draft));
        assert!(rights(&["TechLead"]).may_read("ben", Status::Draft));
        assert!(rights(&["Viewer"]).may_read("ben", Status::Proposed));
    }
}
