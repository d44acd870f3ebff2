//! What a caller's roles allow here, by the matrix of `docs/rbac.md`. Pure.
//!
//! Every member of the tenant sees its jobs. Who holds `sync.start` starts, schedules and retries them, who holds `sync.cancel`
//! cancels them, whoever started them; a job's token carries its starter's roles, so a sync opens no door that its starter
//! could not open. Letting many items vanish at once takes a role that may delete what others made (`memory.delete`), and is
//! nothing for an agent.

use std::sync::LazyLock;

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::rbac::{Action, Role, action, matrix};

/// Who acts for somebody else.
const AGENT: &str = "Agent";

/// What is asked of the matrix.
const ASKED: [Action; 3] = [action::SYNC_START, action::SYNC_CANCEL, action::MEMORY_DELETE];

/// The engine is asked once a process: what a role may do by itself does not change.
static MATRIX: LazyLock<Vec<(Action, Vec<&'static str>)>> = LazyLock::new(|| {
    let allowed = |action: Action| {
        let roles = Role::ALL.into_iter().filter(|role| matrix::allows(*role, action));
        (action, roles.map(Role::name).collect())
    };
    ASKED.into_iter().map(allowed).collect()
});

/// Checks that a caller may start and retry jobs, now and later.
///
/// # Errors
/// [`Code::Forbidden`].
pub fn require_starter(caller: &Caller) -> Result<(), Problem> {
    require(&caller.roles, action::SYNC_START)
}

/// Checks that a caller may cancel jobs.
///
/// # Errors
/// [`Code::Forbidden`].
pub fn require_canceller(caller: &Caller) -> Result<(), Problem> {
    require(&caller.roles, action::SYNC_CANCEL)
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
    require(&roles, action::MEMORY_DELETE)
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

fn require(roles: &[String], action: Action) -> Result<(), Problem> {
    let row = MATRIX.iter().find(|(known, _)| *known == action);
    let allowed = row.map(|(_, roles)| roles.as_slice()).unwrap_or_default();
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

    fn caller(roles: &[&str]) -> Caller {
        Caller {
            scope: TenantScope::for_worker(TenantId::parse("acme").expect("a tenant")),
            subject: "bot".to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            on_behalf_of: None,
        }
    }

    #[test]
    fn whoever_acts_for_somebody_is_an_agent_to_the_targets_too() {
        let mut caller = caller(&["TechLead"]);
        assert!(require_deleter(&caller).is_ok());
        assert_eq!(roles_of(&caller), ["TechLead"]);
        caller.on_behalf_of = Some("ann".to_owned());
        assert!(require_starter(&caller).is_ok() && require_deleter(&caller).is_err());
        assert_eq!(roles_of(&caller), ["TechLead", "Agent"]);
    }

    #[test]
    fn each_role_may_do_what_the_matrix_says() {
        for role in Role::ALL {
            let caller = caller(&[role.name()]);
            let may = [
                require_starter(&caller).is_ok(),
                require_canceller(&caller).is_ok(),
                require_deleter(&caller).is_ok(),
            ];
            assert_eq!(may, ASKED.map(|action| matrix::allows(role, action)), "{role}");
        }
    }

    #[test]
    fn an_agent_starts_nothing_by_itself_and_a_developer_cancels_and_lets_nothing_vanish() {
        for roles in [&[][..], &["Viewer"], &["Agent"], &["Root"]] {
            assert!(require_starter(&caller(roles)).is_err(), "{roles:?}");
        }
        let developer = caller(&["Developer"]);
        assert!(require_starter(&developer).is_ok() && require_canceller(&developer).is_err());
        assert!(require_deleter(&developer).is_err());
        assert!(require_deleter(&caller(&["TechLead", "Agent"])).is_err());
    }
}
