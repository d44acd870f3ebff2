//! Constraints on what is built: rules, and what violates them.
//!
//! A rule says that its target must, or must not, use, match or have its value. `ruleType: deny` turns the rule around;
//! with an operator that says `not` already that would be a riddle, and is refused. A rule about something that the caller
//! did not send is not guessed at: it is listed as unchecked.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::pattern;
use crate::text;

/// What beginning a match takes, in bytes that are matched in that time.
const ENTRY: usize = 64;

/// Whether a rule means what its operator says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleType {
    /// It does.
    #[default]
    Allow,
    /// It means the opposite.
    Deny,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Paths: the file's own, and those beside it. The value is a glob.
    File,
    /// The file's text. The value is a text in it.
    Code,
    /// Names of dependencies. The value is a glob.
    Dependency,
    /// Names of imports. The value is a glob.
    Import,
    /// The configuration. The value is a dotted path; for matches `path=expression`.
    Config,
}

/// What a rule demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// At least one is the value. For code, dependency and import.
    MustUse,
    /// None is the value. For code, dependency and import.
    MustNotUse,
    /// All match the value, a regular expression.
    MustMatch,
    /// None matches the value, a regular expression.
    MustNotMatch,
    /// There is one. For file, dependency and config.
    MustExist,
    /// There is none. For file, dependency and config.
    MustNotExist,
}

/// How bad a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To know.
    Info,
    /// To mend.
    Warn,
    /// Not valid.
    Block,
}

impl Severity {
    /// What one violation adds to the drift score, in tenths.
    #[must_use]
    pub fn tenths(self) -> u32 {
        match self {
            Self::Info => 1,
            Self::Warn => 5,
            Self::Block => 10,
        }
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Its id in the policy, 1 to 128 bytes.
    pub id: String,
    /// Whether it means what the operator says.
    #[serde(default)]
    pub rule_type: RuleType,
    /// What it looks at.
    pub target: Target,
    /// What it demands.
    pub operator: Operator,
    /// Of what, 1 to 512 bytes.
    pub value: String,
    /// Only for paths that match one of these globs; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applies_to: Vec<String>,
    /// How bad a violation is.
    pub severity: Severity,
    /// What a violation is told as, 1 to 512 bytes.
    pub message: String,
}

/// What is checked.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// The file's path.
    pub path: Option<String>,
    /// The file's text.
    pub content: Option<String>,
    /// Paths of other files.
    pub files: Option<Vec<String>>,
    /// Names of dependencies.
    pub dependencies: Option<Vec<String>>,
    /// Names of imports.
    pub imports: Option<Vec<String>>,
    /// The configuration.
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
}

/// What a rule says about a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It holds, or is not about this path.
    Holds,
    /// It does not hold.
    Violated,
    /// What it looks at was not sent.
    Unchecked,
}

/// How many bytes of each kind a subject has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    path: usize,
    code: usize,
    files: usize,
    dependencies: usize,
    imports: usize,
    config: usize,
}

impl Subject {
    /// Measures it.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let list = |list: &Option<Vec<String>>| list.iter().flatten().map(|text| text.len() + ENTRY).sum();
        Sizes {
            path: text(&self.path),
            code: text(&self.content),
            files: list(&self.files),
            dependencies: list(&self.dependencies),
            imports: list(&self.imports),
            config: self
                .config
                .as_ref()
                .map_or(0, |config| serde_json::to_string(config).map_or(0, |text| text.len())),
        }
    }
}

/// A rule's patterns, compiled: that takes longer than most matching.
#[derive(Debug)]
pub struct Patterns {
    applies_to: Vec<Regex>,
    value: Option<Regex>,
}

impl Rule {
    /// Checks the rule itself.
    ///
    /// # Errors
    /// The field and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (field, said) in [("id", &self.id), ("value", &self.value), ("message", &self.message)] {
            if said.is_empty() || said.len() > pattern::LONGEST || said.contains('\0') {
                return Err((field, "1 to 512 bytes without NUL".to_owned()));
            }
        }
        if self.applies_to.len() > 32 || !self.applies_to.iter().all(|glob| text::is_line(glob, pattern::LONGEST)) {
            return Err((
                "appliesTo",
                "at most 32 globs of 1 to 512 bytes without control characters".to_owned(),
            ));
        }
        let negated = matches!(
            self.operator,
            Operator::MustNotUse | Operator::MustNotMatch | Operator::MustNotExist
        );
        if self.rule_type == RuleType::Deny && negated {
            return Err((
                "ruleType",
                "deny and must_not is a double negation; write allow".to_owned(),
            ));
        }
        if !self.is_known_pair() {
            return Err(("operator", "this operator says nothing about this target".to_owned()));
        }
        if matches!(self.operator, Operator::MustMatch | Operator::MustNotMatch) {
            let text = match self.target {
                Target::Config => self.value.split_once('=').map(|(_, text)| text),
                Target::File | Target::Code | Target::Dependency | Target::Import => Some(self.value.as_str()),
            };
            let text = text.ok_or_else(|| ("value", "path=expression".to_owned()))?;
            pattern::expression(text).map_err(|error| ("value", error))?;
        }
        let applies = |glob: &String| pattern::glob(glob).map_err(|error| ("appliesTo", error));
        self.applies_to.iter().try_for_each(|glob| applies(glob).map(|_| ()))?;
        if self.is_glob() {
            pattern::glob(&self.value).map_err(|error| ("value", error))?;
        }
        Ok(())
    }

    fn is_glob(&self) -> bool {
        !self.is_expression() && matches!(self.target, Target::File | Target::Dependency | Target::Import)
    }

    fn is_expression(&self) -> bool {
        matches!(self.operator, Operator::MustMatch | Operator::MustNotMatch)
    }

    /// Compiles the rule's patterns. One that does not compile, which no rule has that was checked, matches nothing.
    #[must_use]
    pub fn compile(&self) -> Patterns {
        let expression = match self.target {
            Target::Config => self.value.split_once('=').map(|(_, text)| text),
            Target::File | Target::Code | Target::Dependency | Target::Import => Some(self.value.as_str()),
        };
        Patterns {
            applies_to: self
                .applies_to
                .iter()
                .filter_map(|text| pattern::glob(text).ok())
                .collect(),
            value: if self.is_expression() {
                expression.and_then(|text| pattern::expression(text).ok())
            } else if self.is_glob() {
                pattern::glob(&self.value).ok()
            } else {
                None
            },
        }
    }

    fn is_known_pair(&self) -> bool {
        match self.operator {
            Operator::MustMatch | Operator::MustNotMatch => true,
            Operator::MustUse | Operator::MustNotUse => {
                matches!(self.target, Target::Code | Target::Dependency | Target::Import)
            }
            Operator::MustExist | Operator::MustNotExist => {
                matches!(self.target, Target::File | Target::Dependency | Target::Config)
            }
        }
    }

    /// Returns how many bytes of a subject the rule looks at, at most: its path once for each place that it applies to.
    #[must_use]
    pub fn looks_at(&self, sizes: &Sizes) -> usize {
        let looked_at = match self.target {
            Target::Code => sizes.code,
            Target::File => sizes.path.saturating_add(sizes.files),
            Target::Dependency => sizes.dependencies,
            Target::Import => sizes.imports,
            Target::Config => sizes.config,
        };
        looked_at.saturating_add(sizes.path.saturating_mul(self.applies_to.len()))
    }

    /// Holds a subject against the rule, by its patterns.
    #[must_use]
    pub fn judge(&self, patterns: &Patterns, subject: &Subject) -> Finding {
        if !self.applies_to.is_empty() {
            let Some(path) = &subject.path else {
                return Finding::Unchecked;
            };
            if !patterns.applies_to.iter().any(|glob| glob.is_match(path)) {
                return Finding::Holds;
            }
        }
        let Some(hits) = self.hits(patterns, subject) else {
            return Finding::Unchecked;
        };
        let any = hits.contains(&true);
        let demanded = match self.operator {
            Operator::MustUse | Operator::MustExist => any,
            Operator::MustNotUse | Operator::MustNotExist | Operator::MustNotMatch => !any,
            Operator::MustMatch => !hits.contains(&false),
        };
        if demanded == (self.rule_type == RuleType::Allow) {
            Finding::Holds
        } else {
            Finding::Violated
        }
    }

    /// For each thing that the rule looks at: whether it is the value. None when nothing of the kind was sent.
    fn hits(&self, patterns: &Patterns, subject: &Subject) -> Option<Vec<bool>> {
        let texts: Vec<&str> = match self.target {
            Target::Config => return self.config_hits(patterns, subject.config.as_ref()?),
            Target::Code => {
                let code = subject.content.as_deref()?;
                if !self.is_expression() {
                    return Some(vec![code.contains(&self.value)]);
                }
                vec![code]
            }
            Target::File => {
                let beside = subject.files.iter().flatten();
                let all: Vec<&str> = subject.path.iter().chain(beside).map(String::as_str).collect();
                (subject.path.is_some() || subject.files.is_some()).then_some(all)?
            }
            Target::Dependency => subject.dependencies.as_ref()?.iter().map(String::as_str).collect(),
            Target::Import => subject.imports.as_ref()?.iter().map(String::as_str).collect(),
        };
        let pattern = patterns.value.as_ref()?;
        Some(texts.into_iter().map(|text| pattern.is_match(text)).collect())
    }

    fn config_hits(&self, patterns: &Patterns, config: &Map<String, Value>) -> Option<Vec<bool>> {
        let find = |path: &str| {
            let mut steps = path.split('.');
            let first = config.get(steps.next()?)?;
            steps.try_fold(first, |at, step| at.get(step))
        };
        if !self.is_expression() {
            return Some(vec![find(&self.value).is_some()]);
        }
        let (path, _) = self.value.split_once('=')?;
        let expression = patterns.value.as_ref()?;
        let shown = find(path).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        Some(vec![shown.is_some_and(|text| expression.is_match(&text))])
    }
}

/// Adds up a drift score, 0 to 1.
#[must_use]
pub fn drift_score(violations: impl IntoIterator<Item = Severity>) -> f64 {
    let tenths: u32 = violations.into_iter().map(Severity::tenths).sum();
    f64::from(tenths.min(10)) / 10.0
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
