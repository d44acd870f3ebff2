//! What a caller's roles allow here.
//!
//! Pure. Who may read: every member of the tenant, with one exception: a draft is seen by its author and by reviewers. Who
//! may write: everybody but viewers; drafts and proposals only, unless they may review. A caller without any role reads.

use aeterna_kit::auth::Caller;

use crate::item::Status;

/// The roles that propose.
const WRITERS: [&str; 2] = ["Developer", "Agent"];

/// The roles that accept, reject, and change what is accepted. An agent is never among them.
const REVIEWERS: [&str; 5] = ["TechLead", "Architect", "Admin", "TenantAdmin", "PlatformAdmin"];

/// What a caller may do in its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    subject: String,
    write: bool,
    review: bool,
}

impl Rights {
    /// Reads a caller's roles.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        let mut roles = caller.roles.clone();
        // Whoever acts on behalf of somebody is an agent, also without the role.
        if caller.on_behalf_of.is_some() {
            roles.push("Agent".to_owned());
        }
        Self::from_roles(&caller.subject, &roles)
    }

    /// Reads roles; unknown ones allow nothing.
    #[must_use]
    pub fn from_roles(subject: &str, roles: &[String]) -> Self {
        let has = |known: &[&str]| roles.iter().any(|role| known.contains(&role.as_str()));
        // Whoever acts as an agent approves nothing, whatever else its token says.
        let review = has(&REVIEWERS) && !has(&["Agent"]);
        Self {
            subject: subject.to_owned(),
            write: review || has(&WRITERS),
            review,
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
        self.write
    }

    /// Tells whether they may accept and reject.
    #[must_use]
    pub fn may_review(&self) -> bool {
        self.review
    }

    /// Tells whether they may read an item of this author and status.
    #[must_use]
    pub fn may_read(&self, author: &str, status: Status) -> bool {
        status != Status::Draft || self.review || self.subject == author
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
            roles: vec!["TechLead".to_owned()],
            on_behalf_of: None,
        };
        assert!(Rights::of(&caller).may_review());
        caller.on_behalf_of = Some("ann".to_owned());
        let rights = Rights::of(&caller);
        assert!(rights.may_write() && !rights.may_review());
    }

    #[test]
    fn a_viewer_reads_and_an_agent_never_reviews() {
        assert!(!rights(&["Viewer"]).may_write() && !rights(&[]).may_write() && !rights(&["Root"]).may_write());
        assert!(rights(&["Agent"]).may_write());
        assert!(!rights(&["Agent", "TenantAdmin"]).may_review());
        assert!(rights(&["TechLead"]).may_review() && rights(&["TechLead"]).may_write());
    }

    #[test]
    fn a_draft_is_its_authors_and_the_reviewers() {
        assert!(rights(&["Viewer"]).may_read("ann", Status::Draft));
        assert!(!rights(&["Developer"]).may_read("ben", Status::Draft));
        assert!(rights(&["Architect"]).may_read("ben", Status::Draft));
        assert!(rights(&["Viewer"]).may_read("ben", Status::Proposed));
    }
}
