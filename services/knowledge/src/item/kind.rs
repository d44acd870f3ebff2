//! The kinds of items, and what each must say.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::Status;
use crate::markdown;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A decision, with its context and consequences.
    Adr,
    /// Rules within a scope.
    Policy,
    /// A problem and its solution, to be used again.
    Pattern,
    /// What something must be, in a version.
    Spec,
    /// A problem that was met, and how it was resolved.
    Hindsight,
    /// Anything worth keeping.
    Note,
}

/// All kinds.
pub const KINDS: [Kind; 6] = [
    Kind::Adr,
    Kind::Policy,
    Kind::Pattern,
    Kind::Spec,
    Kind::Hindsight,
    Kind::Note,
];

impl Kind {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adr => "adr",
            Self::Policy => "policy",
            Self::Pattern => "pattern",
            Self::Spec => "spec",
            Self::Hindsight => "hindsight",
            Self::Note => "note",
        }
    }

    /// Finds a kind by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Finds the kind that a folder holds, as repositories of knowledge are laid out.
    #[must_use]
    pub fn of_folder(name: &str) -> Option<Self> {
        match name {
            "adrs" | "adr" => Some(Self::Adr),
            "policies" => Some(Self::Policy),
            "patterns" => Some(Self::Pattern),
            "specs" => Some(Self::Spec),
            "hindsights" => Some(Self::Hindsight),
            "notes" => Some(Self::Note),
            _ => None,
        }
    }

    /// Returns the sections that an item of this kind must have, each with a text.
    #[must_use]
    pub fn sections(self) -> &'static [&'static str] {
        match self {
            Self::Adr => &["context", "decision", "consequences"],
            Self::Policy => &["scope", "rules"],
            Self::Pattern => &["problem", "solution"],
            Self::Spec => &["version"],
            Self::Hindsight => &["problem", "resolution"],
            Self::Note => &[],
        }
    }

    /// Returns the sections that a body lacks.
    #[must_use]
    pub fn missing_sections(self, body: &str) -> Vec<&'static str> {
        let found = markdown::sections(body);
        let has = |name: &&&str| {
            found
                .iter()
                .any(|section| section.name() == **name && markdown::has_text(section.text))
        };
        self.sections().iter().filter(|name| !has(name)).copied().collect()
    }

    /// Tells whether an item of this kind and status says what it says for ever: it is superseded, not edited.
    #[must_use]
    pub fn is_settled(self, status: Status) -> bool {
        matches!(self, Self::Adr | Self::Spec)
            && matches!(status, Status::Accepted | Status::Deprecated | Status::Superseded)
    }
}

/// How much it matters that an item is followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is good to know.
    #[default]
    Info,
    /// Who does not follow it should say why.
    Warn,
    /// It must be followed.
    Block,
}

impl Severity {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_without_its_consequences_is_told_so() {
        let body = "# Use Postgres\n\n## Context\nWe need a store.\n\n## Decision\nPostgres.\n\n## Consequences\n\n";
        assert_eq!(Kind::Adr.missing_sections(body), ["consequences"]);
        let body = format!("{body}One more thing to run.\n");
        assert!(Kind::Adr.missing_sections(&body).is_empty());
    }

    #[test]
    fn a_section_may_be_divided_and_its_heading_underlined() {
        let body = "# Store\n\nContext\n---\nOne.\n\n## Decision\nThis.\n\n## Consequences\n\n### Positive\n- fast\n";
        assert!(Kind::Adr.missing_sections(body).is_empty());
        let headings_alone = body.replace("- fast\n", "### Negative\n");
        assert_eq!(Kind::Adr.missing_sections(&headings_alone), ["consequences"]);
    }

    #[test]
    fn a_heading_inside_of_code_is_no_section() {
        let body = "## Problem\nx\n```\n## Solution\ny\n```\n";
        assert_eq!(Kind::Pattern.missing_sections(body), ["solution"]);
    }

    #[test]
    fn numbers_and_case_of_headings_do_not_matter() {
        let body = "# 1. SCOPE\nall\n## 2) Rules:\nnone\n";
        assert!(Kind::Policy.missing_sections(body).is_empty());
    }
}
