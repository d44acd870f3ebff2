//! Notes: what is worth keeping of what was done, distilled from events or from a text.
//!
//! Pure, but for [`model`], which asks a language model when one is configured. [`plain`] and [`redact`] come first, whatever comes next:
//! neither a model nor the database ever sees a secret that it finds. [`distil`] finds context, problem, solution and
//! patterns by cues and order, and invents nothing: each of its sentences stood in the source.

pub mod distil;
pub mod model;
pub mod plain;
pub mod redact;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::markdown;

/// What is worth keeping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sections {
    /// What it was about.
    pub context: String,
    /// What was in the way.
    pub problem: String,
    /// What helped.
    pub solution: String,
    /// What to do, or not to do, the next time.
    pub patterns: Vec<String>,
}

impl Sections {
    /// Returns how much a note is worth, 0 to 1: a problem and its solution make most of it, then on how much it stands.
    #[must_use]
    pub fn quality(&self, sources: usize) -> f64 {
        let has = |text: &str, worth: f64| if text.is_empty() { 0.0 } else { worth };
        let patterns = if self.patterns.is_empty() { 0.0 } else { 0.1 };
        let evidence = f64::from(u32::try_from(sources.min(5)).unwrap_or(5)) / 5.0;
        let sum = has(&self.context, 0.1) + has(&self.problem, 0.3) + has(&self.solution, 0.3) + patterns;
        // More than two digits would say more than this knows.
        ((sum + 0.2 * evidence) * 100.0).round() / 100.0
    }

    /// Writes the note's text.
    #[must_use]
    pub fn render(&self, title: &str) -> String {
        let mut text = format!("# {title}\n");
        for (heading, section) in [
            ("Context", &self.context),
            ("Problem", &self.problem),
            ("Solution", &self.solution),
        ] {
            if !section.is_empty() {
                text.push_str(&format_section(heading, section));
            }
        }
        if !self.patterns.is_empty() {
            let list: Vec<String> = self.patterns.iter().map(|pattern| format!("- {pattern}")).collect();
            text.push_str(&format_section("Patterns", &list.join("\n")));
        }
        text
    }
}

impl Sections {
    /// Reads a note's text, as [`Self::render`] writes it.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        for section in markdown::sections(text).iter().filter(|section| section.level == 2) {
            match section.title {
                "Context" => section.text.clone_into(&mut found.context),
                "Problem" => section.text.clone_into(&mut found.problem),
                "Solution" => section.text.clone_into(&mut found.solution),
                "Patterns" => {
                    let patterns = section.text.lines().filter_map(|line| line.strip_prefix("- "));
                    found.patterns = patterns.map(str::to_owned).collect();
                }
                _ => {}
            }
        }
        found
    }
}

fn format_section(heading: &str, text: &str) -> String {
    format!("\n## {heading}\n\n{text}\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_a_note_says_is_read_from_its_text(
            context in "([A-Z][a-z ]{0,20}[a-z]\\.)?", problem in "([A-Z][a-z ]{0,20}[a-z]\\.)?",
            solution in "[A-Z][a-z ]{0,20}[a-z]\\.", patterns in proptest::collection::vec("[A-Z][a-z ]{0,20}[a-z]", 0..4),
        ) {
            let sections = Sections { context, problem, solution, patterns };
            prop_assert_eq!(Sections::read(&sections.render("A title")), sections);
        }
    }
}
