//! Finds what is worth keeping, by cues and order.
//!
//! Pure and extractive. Of events, what failed is the problem and what went well after the last failure the solution; of a
//! text, sentences speak for themselves. Nothing is worded anew, so nothing is made up.

use super::Sections;
use crate::markdown;

/// Sentences that a section has at most.
const SENTENCES: usize = 6;

/// Longest piece of an event's output, in characters.
const OUTPUT: usize = 300;

/// Something that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// What was done.
    pub description: String,
    /// With which tool.
    pub tool: Option<String>,
    /// Whether it went well, if it is known.
    pub success: Option<bool>,
    /// What came of it.
    pub output: Option<String>,
}

/// Cues of a problem, of a solution, and of a rule.
const PROBLEM: [&str; 14] = [
    "error", "errors", "fail", "fails", "failed", "failure", "cannot", "broken", "timeout", "problem", "issue", "bug",
    "crash", "wrong",
];
const SOLUTION: [&str; 14] = [
    "fix", "fixed", "fixes", "solved", "resolved", "solution", "works", "helped", "changed", "added", "replaced",
    "switched", "instead", "now",
];
const RULE: [&str; 8] = [
    "always", "never", "should", "must", "prefer", "avoid", "whenever", "remember",
];

/// Distils events, in their order.
#[must_use]
pub fn of_events(events: &[Event]) -> Sections {
    let failed = |event: &&Event| event.success == Some(false);
    let last_failure = events.iter().rposition(|event| event.success == Some(false));
    let after = last_failure.map_or(events, |place| events.get(place + 1..).unwrap_or_default());
    let helped = after.iter().filter(|event| event.success != Some(false));
    let has_problem = last_failure.is_some();
    Sections {
        context: join(events.iter().take(2).map(|event| event.description.trim().to_owned())),
        problem: join(events.iter().filter(failed).map(tell)),
        // Where nothing failed, nothing was solved: it is the context that tells what was done.
        solution: if has_problem {
            join(helped.map(tell))
        } else {
            String::new()
        },
        patterns: patterns(events),
    }
}

fn tell(event: &Event) -> String {
    let description = event.description.trim();
    let output = event.output.as_deref().map(str::trim).unwrap_or_default();
    let output = markdown::sentences(output).first().copied().unwrap_or_default();
    let output: String = output.chars().take(OUTPUT).collect();
    if output.is_empty() {
        return description.to_owned();
    }
    format!("{}: {output}", description.trim_end_matches(['.', ':']))
}

/// Tools that failed before one that did not: what to reach for the next time.
fn patterns(events: &[Event]) -> Vec<String> {
    let mut found = Vec::new();
    for pair in events.windows(2) {
        let [before, after] = pair else { continue };
        if let (Some(false), Some(true), Some(one), Some(other)) =
            (before.success, after.success, &before.tool, &after.tool)
        {
            let pattern = if one == other {
                format!(
                    "{one}: after \"{}\" failed, \"{}\" went well",
                    before.description.trim(),
                    after.description.trim()
                )
            } else {
                format!("{other} went well where {one} had failed")
            };
            if !found.contains(&pattern) && found.len() < SENTENCES {
                found.push(pattern);
            }
        }
    }
    found
}

/// Distils a text.
#[must_use]
pub fn of_text(text: &str) -> Sections {
    let mut sections = Sections::default();
    let (mut context, mut problem, mut solution) = (Vec::new(), Vec::new(), Vec::new());
    for paragraph in markdown::paragraphs(text) {
        for sentence in markdown::sentences(paragraph) {
            let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
            let words = markdown::words(&sentence);
            let has = |cues: &[&str]| cues.iter().any(|cue| words.contains(*cue));
            if has(&RULE) {
                sections.patterns.push(sentence);
            } else if has(&SOLUTION) && !problem.is_empty() {
                solution.push(sentence);
            } else if has(&PROBLEM) {
                problem.push(sentence);
            } else {
                context.push(sentence);
            }
        }
    }
    sections.patterns.truncate(SENTENCES);
    sections.context = join(context.into_iter());
    sections.problem = join(problem.into_iter());
    sections.solution = join(solution.into_iter());
    sections
}

/// Puts sentences in a row, each once.
fn join(sentences: impl Iterator<Item = String>) -> String {
    let mut told: Vec<String> = Vec::new();
    for sentence in sentences {
        let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
        if !sentence.is_empty() && !told.contains(&sentence) && told.len() < SENTENCES {
            told.push(sentence);
        }
    }
    let ended = told.iter().map(|sentence| {
        if sentence.ends_with(['.', '!', '?', ':']) {
            sentence.clone()
        } else {
            format!("{sentence}.")
        }
    });
    ended.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(description: &str, tool: &str, success: bool, output: &str) -> Event {
        Event {
            description: description.to_owned(),
            tool: Some(tool.to_owned()),
            success: Some(success),
            output: Some(output.to_owned()),
        }
    }

    #[test]
    fn what_failed_is_the_problem_and_what_went_well_after_it_the_solution() {
        let found = of_events(&[
            event("Read the logs", "grep", true, ""),
            event("Ran the migration", "psql", false, "lock timeout. More noise."),
            event("Ran it at night", "psql", true, "done"),
        ]);
        assert_eq!(found.context, "Read the logs. Ran the migration.");
        assert_eq!(found.problem, "Ran the migration: lock timeout.");
        assert_eq!(found.solution, "Ran it at night: done.");
        assert_eq!(
            found.patterns,
            ["psql: after \"Ran the migration\" failed, \"Ran it at night\" went well"]
        );
    }

    #[test]
    fn sentences_of_a_text_speak_for_themselves() {
        let found = of_text(
            "# X\nWe deploy on Fridays. The rollout failed twice.\n\nWe added a probe. Never skip the probe.\n",
        );
        assert_eq!(found.context, "We deploy on Fridays.");
        assert_eq!(found.problem, "The rollout failed twice.");
        assert_eq!(found.solution, "We added a probe.");
        assert_eq!(found.patterns, ["Never skip the probe."]);
        assert!(found.quality(5) > of_text("We deploy on Fridays.").quality(1));
    }

    proptest! {
        #[test]
        fn nothing_is_said_that_the_text_did_not_say(text in "([a-z]{1,9}[ .\\n]|failed |fixed |never ){0,60}") {
            let said = markdown::words(&text);
            let found = of_text(&text);
            let told = format!("{} {} {} {}", found.context, found.problem, found.solution, found.patterns.join(" "));
            prop_assert!(markdown::words(&told).is_subset(&said));
            prop_assert!((0.0..=1.0).contains(&found.quality(3)));
        }
    }
}
