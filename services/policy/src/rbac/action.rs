//! What can be done: the actions of the schema, by their names on the wire.
//!
//! The list, `schema.cedarschema` and `builtin.cedar` are held together by a test.

/// An action and the kind of thing it is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Action {
    /// Its name, as policies spell it: `policy.create`.
    pub name: &'static str,
    /// The entity type of its resource.
    pub resource: &'static str,
}

macro_rules! actions {
    ($($constant:ident = $name:literal on $resource:literal;)*) => {
        $(#[doc = concat!("`", $name, "`.")] pub const $constant: Action = Action { name: $name, resource: $resource };)*
        /// All actions, in the order of the matrix.
        pub const ALL: &[Action] = &[$($constant),*];
    };
}

actions! {
    MEMORY_READ = "memory.read" on "Memory";
    MEMORY_SEARCH = "memory.search" on "Memory";
    MEMORY_CREATE = "memory.create" on "Memory";
    MEMORY_DELETE = "memory.delete" on "Memory";
    MEMORY_PROMOTE = "memory.promote" on "Memory";
    KNOWLEDGE_READ = "knowledge.read" on "Knowledge";
    KNOWLEDGE_SEARCH = "knowledge.search" on "Knowledge";
    KNOWLEDGE_PROPOSE = "knowledge.propose" on "Knowledge";
    KNOWLEDGE_EDIT = "knowledge.edit" on "Knowledge";
    KNOWLEDGE_ACCEPT = "knowledge.accept" on "Knowledge";
    SYNC_READ = "sync.read" on "Sync";
    SYNC_START = "sync.start" on "Sync";
    SYNC_CANCEL = "sync.cancel" on "Sync";
    POLICY_READ = "policy.read" on "Policy";
    POLICY_EVALUATE = "policy.evaluate" on "Policy";
    POLICY_SIMULATE = "policy.simulate" on "Policy";
    POLICY_SNAPSHOT = "policy.snapshot" on "Policy";
    POLICY_CREATE = "policy.create" on "Policy";
    POLICY_UPDATE = "policy.update" on "Policy";
    POLICY_ACTIVATE = "policy.activate" on "Policy";
    APPROVAL_READ = "approval.read" on "Approval";
    APPROVAL_REQUEST = "approval.request" on "Approval";
    APPROVAL_WITHDRAW = "approval.withdraw" on "Approval";
    APPROVAL_DECIDE = "approval.decide" on "Approval";
    APPROVAL_APPLY = "approval.apply" on "Approval";
    APPROVAL_APPLY_ANY = "approval.applyAny" on "Approval";
    APPROVAL_CANCEL = "approval.cancel" on "Approval";
    APPROVAL_BREAK_GLASS = "approval.breakGlass" on "Approval";
    ROLE_READ = "role.read" on "RoleAssignment";
    ROLE_GRANT = "role.grant" on "RoleAssignment";
    ROLE_REVOKE = "role.revoke" on "RoleAssignment";
    AUDIT_READ = "audit.read" on "Audit";
    AUDIT_VERIFY = "audit.verify" on "Audit";
}

/// Returns the action of a name.
#[must_use]
pub fn find(name: &str) -> Option<Action> {
    ALL.iter().copied().find(|action| action.name == name)
}
