//! Policies: what they say, and what follows from several of them. No IO.
//!
//! A policy is a [`Document`] with versions. Two kinds: constraints on what is built ([`constraint`]), and Cedar policies
//! on who may do what ([`cedar`]). Policies of one name in several layers are merged top down ([`merge`]): what is
//! mandatory above stays, whatever a layer below says. (For memories the nearer layer wins; for policies the higher.)

pub mod cedar;
pub mod constraint;
pub mod diff;
pub mod merge;
mod nesting;
pub mod pattern;
pub mod untold;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use aeterna_kit::hex::hex;
use aeterna_kit::problem::{Code, FieldError, Problem};

use crate::canonical;
use crate::engine::Scope;
use crate::text;
use constraint::Rule;

/// Longest name, longest description and longest Cedar text, in bytes.
const LONGEST: (usize, usize, usize) = (128, 4 * 1024, 64 * 1024);

/// Most lines of a Cedar text.
const LINES: usize = 2_000;

/// Most rules of a policy.
const RULES: usize = 100;

/// How high in the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The whole tenant.
    Company,
    /// An organisation: orgId.
    Org,
    /// A team: teamId.
    Team,
    /// A project: projectId.
    Project,
}

/// What a policy is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PolicyKind)]
pub enum Kind {
    /// Rules about code, files, dependencies, imports and configuration.
    Constraint,
    /// Cedar text.
    Cedar,
}

/// Whether a lower layer may take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It may not.
    Mandatory,
    /// It may.
    Optional,
}

/// What a policy does to one of its name in a higher layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MergeStrategy {
    /// Takes its place, unless that is mandatory.
    Override,
    /// Adds to it; of two rules with one id the lower one counts, unless the upper is mandatory.
    #[default]
    Merge,
    /// Leaves of it the rules whose ids it has as well, and what is mandatory. Not for Cedar.
    Intersect,
}

/// Whether it counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PolicyStatus)]
pub enum Status {
    /// Not yet.
    #[default]
    Draft,
    /// It does, between `effectiveFrom` and `effectiveUntil`.
    Active,
    /// No more.
    Archived,
}

/// What a version of a policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PolicyDocument)]
pub struct Document {
    /// Its name, once in its layer and scope.
    pub name: String,
    /// For readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is made of.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How high it stands.
    pub layer: Layer,
    /// Where: the id of its layer, and none below.
    #[serde(default)]
    pub scope: Scope,
    /// Whether a lower layer may take it back.
    pub mode: Mode,
    /// What it does to one of its name above.
    #[serde(default)]
    pub merge_strategy: MergeStrategy,
    /// Constraint: the rules, 1 to 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Cedar: the text, at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cedar: Option<String>,
    /// Whether it counts.
    #[serde(default)]
    pub status: Status,
    /// From when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_from: Option<Timestamp>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_until: Option<Timestamp>,
    /// In requests: checked like any other, and not stored.
    #[serde(default, skip_serializing)]
    #[schema(write_only)]
    pub dry_run: bool,
}

impl Document {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// [`Code::InvalidBody`] for the form, [`Code::InvalidPolicy`] for rules and text, with lines and columns.
    pub fn check(&self) -> Result<(), Problem> {
        self.check_form()?;
        match (self.kind, &self.cedar) {
            (Kind::Constraint, None) => self.check_rules(),
            (Kind::Cedar, Some(text)) if self.rules.is_empty() => cedar::check(text).map_err(invalid),
            (Kind::Constraint, Some(_)) => refuse("/cedar", "a constraint policy has rules, not Cedar text"),
            (Kind::Cedar, _) => refuse("/cedar", "a Cedar policy has its text here, and no rules"),
        }
    }

    fn check_form(&self) -> Result<(), Problem> {
        let (name, description, cedar) = LONGEST;
        if self.name.trim().is_empty() || !text::is_line(&self.name, name) {
            return refuse("/name", "1 to 128 bytes without control characters");
        }
        if self
            .description
            .as_ref()
            .is_some_and(|text| text.len() > description || text.contains('\0'))
        {
            return refuse("/description", "at most 4 KiB without NUL");
        }
        if self
            .cedar
            .as_ref()
            .is_some_and(|text| text.len() > cedar || text.contains('\0'))
        {
            return refuse("/cedar", "at most 64 KiB without NUL");
        }
        // Two versions are compared line by line.
        if self.cedar.as_ref().is_some_and(|cedar| cedar.lines().count() > LINES) {
            return refuse("/cedar", "at most 2000 lines");
        }
        if self
            .effective_from
            .zip(self.effective_until)
            .is_some_and(|(from, until)| from >= until)
        {
            return refuse("/effectiveUntil", "later than effectiveFrom");
        }
        if self.kind == Kind::Cedar && self.merge_strategy == MergeStrategy::Intersect {
            return refuse("/mergeStrategy", "Cedar policies override or merge");
        }
        self.check_scope()
    }

    /// A policy names the place of its layer, and nothing below; what is above it may name as well.
    fn check_scope(&self) -> Result<(), Problem> {
        if let Err(name) = self.scope.check() {
            let pointer = format!("/scope/{name}");
            return refuse(&pointer, "1 to 256 bytes without control characters");
        }
        let places = [
            (Layer::Org, "/scope/orgId", &self.scope.org_id),
            (Layer::Team, "/scope/teamId", &self.scope.team_id),
            (Layer::Project, "/scope/projectId", &self.scope.project_id),
        ];
        for (layer, pointer, id) in places {
            if layer == self.layer && id.is_none() {
                return refuse(pointer, "a policy of this layer names its place");
            }
            if layer > self.layer && id.is_some() {
                return refuse(pointer, "a policy names no place below its layer");
            }
        }
        Ok(())
    }

    fn check_rules(&self) -> Result<(), Problem> {
        if !(1..=RULES).contains(&self.rules.len()) {
            return refuse("/rules", "1 to 100 rules");
        }
        let mut errors = Vec::new();
        let mut ids = std::collections::BTreeSet::new();
        for (n, rule) in self.rules.iter().enumerate() {
            if let Err((field, message)) = rule.check() {
                errors.push(error(format!("/rules/{n}/{field}"), message));
            }
            if !ids.insert(&rule.id) {
                errors.push(error(format!("/rules/{n}/id"), "another rule has this id".to_owned()));
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(invalid(errors))
        }
    }

    /// Returns the hash of what it says.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(canonical::write(&json!(self))))
    }

    /// Tells whether it speaks about a place: every id that it names is the place's.
    #[must_use]
    pub fn covers(&self, place: &Scope) -> bool {
        let covers = |own: &Option<String>, asked: &Option<String>| own.is_none() || own == asked;
        covers(&self.scope.org_id, &place.org_id)
            && covers(&self.scope.team_id, &place.team_id)
            && covers(&self.scope.project_id, &place.project_id)
    }

    /// Tells whether it counts at a time.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.status == Status::Active
            && self.effective_from.is_none_or(|from| from <= now)
            && self.effective_until.is_none_or(|until| now < until)
    }
}

fn refuse(pointer: &str, message: &str) -> Result<(), Problem> {
    Err(Problem::field(Code::InvalidBody, pointer, message))
}

fn error(pointer: String, message: String) -> FieldError {
    FieldError {
        pointer,
        message,
        line: None,
        column: None,
    }
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    let detail = errors.first().map_or_else(String::new, |error| error.message.clone());
    Problem {
        errors,
        ..Problem::new(Code::InvalidPolicy, detail)
    }
}
