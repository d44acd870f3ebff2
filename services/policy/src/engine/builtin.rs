//! The schema and the built-in policies, parsed once a process.

use std::str::FromStr as _;
use std::sync::OnceLock;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema};

use super::Statement;
use crate::rbac::{BUILTIN, SCHEMA};

static PARSED_SCHEMA: OnceLock<Schema> = OnceLock::new();
static PARSED_POLICIES: OnceLock<Vec<Policy>> = OnceLock::new();
static STATEMENTS: OnceLock<Vec<Statement>> = OnceLock::new();

/// Returns the schema.
///
/// # Panics
/// Never: the text is part of this crate, and a test parses it.
pub fn schema() -> &'static Schema {
    PARSED_SCHEMA.get_or_init(|| {
        let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).expect("the schema is tested");
        schema
    })
}

/// Returns the built-in policies under the ids that their `@id` says.
///
/// # Panics
/// Never: the text is part of this crate, and a test parses it.
pub fn policies() -> &'static [Policy] {
    PARSED_POLICIES.get_or_init(|| {
        let set = PolicySet::from_str(BUILTIN).expect("the built-in policies are tested");
        let named = |policy: &Policy| {
            let id = policy.annotation("id").expect("each has its @id").to_owned();
            policy.new_id(PolicyId::new(id))
        };
        set.policies().map(named).collect()
    })
}

/// Returns the built-in policies for slices.
pub(super) fn statements() -> &'static [Statement] {
    STATEMENTS.get_or_init(|| policies().iter().map(Statement::of).collect())
}

#[cfg(test)]
mod tests {
    use cedar_policy::{ValidationMode, Validator};

    use super::*;
    use crate::rbac::action;

    #[test]
    fn the_built_in_policies_fit_the_schema() {
        let set = PolicySet::from_policies(policies().iter().cloned()).expect("distinct ids");
        let result = Validator::new(schema().clone()).validate(&set, ValidationMode::Strict);
        let errors: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn the_schema_has_the_actions_of_the_list_and_no_other() {
        let mut declared: Vec<String> = schema().actions().map(|uid| uid.id().unescaped().to_owned()).collect();
        let mut listed: Vec<String> = action::ALL.iter().map(|action| action.name.to_owned()).collect();
        declared.sort();
        listed.sort();
        assert_eq!(declared, listed);
        for action in action::ALL {
            let uid = format!("Action::\"{}\"", action.name).parse().expect("a uid");
            let resources: Vec<String> = schema()
                .resources_for_action(&uid)
                .expect("known")
                .map(ToString::to_string)
                .collect();
            assert_eq!(resources, [action.resource], "{}", action.name);
        }
    }
}
