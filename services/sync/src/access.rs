//! What a caller's roles allow here. Pure.
//!
//! Every member of the tenant sees its jobs. Who may write in the tenant may start, cancel and retry them; a job's token
//! carries its starter's roles, so a sync opens no door that its starter could not open. Letting many items vanish at once
//! takes a role that may delete what others made.

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::{Code, Problem};

/// The roles that may write.
const WRITERS: [&str; 7] = [
    "Agent",
    "Developer",
    "TechLead",
    "Architect",
    "Admin",
    "TenantAdmin",
    "PlatformAdmin",
];

/// Who acts for somebody else.
const AGENT: &str = "Agent";

/// The roles that may delete what others made.
const DELETERS: [&str; 5] = ["TechLead", "Architect", "Admin", "TenantAdmin", "PlatformAdmin"];

/// Checks that a caller may start, cancel and retry jobs.
///
/// # Errors
/// [`Code::Forbidden`].
pub fn require_writer(caller: &Caller) -> Result<(), Problem> {
    require(&caller.roles, &WRITERS)
}

/// Checks that a caller may let many items vanish.
///
/// # Errors
/// [`Code::Forbidden`].
pub fn require_deleter(caller: &Caller) -> Result<(), Problem> {
    let roles = roles_of(caller);
    if roles.iter().any(|role| role == AGENT) {
        return Err(Problem::new(Code::Forbidden, "an agent lets nothing vanish in masses"));
    }
    require(&roles, &DELETERS)
}

/// Returns the roles that a caller's job carries. Whoever acts on behalf of somebody is an agent, also without the role: the
/// job's token does not say for whom it acts, so it says that.
#[must_use]
pub fn roles_of(caller: &Caller) -> Vec<String> {
    let mut roles = caller.roles.clone();
    if caller.on_behalf_of.is_some() && !roles.iter().any(|role| role == AGENT) {
        roles.push(AGENT.to_owned());
    }
    roles
}

fn require(roles: &[String], allowed: &[&str]) -> Result<(), Problem> {
    if roles.iter().any(|role| allowed.contains(&role.as_str())) {
        return Ok(());
    }
    let detail = format!("this takes one of the roles {}", allowed.join(", "));
    Err(Problem::new(Code::Forbidden, detail))
}

#[cfg(test)]
mod tests {
    use aeterna_kit::auth::TenantScope;
    use aeterna_kit::ids::TenantId;

    use super::*;

    fn allowed(role: &str, roles: &[&str]) -> bool {
        require(&[role.to_owned()], roles).is_ok()
    }

    #[test]
    fn whoever_acts_for_somebody_is_an_agent_to_the_targets_too() {
        let mut caller = Caller {
            scope: TenantScope::for_worker(TenantId::parse("acme").expect("a tenant")),
            subject: "bot".to_owned(),
            roles: vec!["TechLead".to_owned()],
            on_behalf_of: None,
        };
        assert!(require_deleter(&caller).is_ok());
        assert_eq!(roles_of(&caller), ["TechLead"]);
        caller.on_behalf_of = Some("ann".to_owned());
        assert!(require_deleter(&caller).is_err());
        assert_eq!(roles_of(&caller), ["TechLead", "Agent"]);
    }

    #[test]
    fn a_viewer_starts_nothing_and_a_developer_lets_nothing_vanish() {
        assert!(!allowed("Viewer", &WRITERS) && !allowed("Root", &WRITERS));
        assert!(allowed("Developer", &WRITERS) && !allowed("Developer", &DELETERS));
        assert!(allowed("Agent", &WRITERS) && !allowed("Agent", &DELETERS));
        assert!(allowed("TechLead", &DELETERS));
        assert!(require(&[], &WRITERS).is_err());
    }
}
