//! What a note is made of, without its secrets.

use serde::Deserialize;
use utoipa::ToSchema;

use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::rbac::action;

use super::create::Request;
use crate::by::By;
use crate::item::Status;
use crate::notes::Sections;
use crate::notes::distil::{self, Event};
use crate::notes::plain::plain;
use crate::notes::redact::redact;
use crate::path::ItemPath;
use crate::permissions::about_stored;
use crate::routes::refusal::{absent, path_problem};
use crate::state::State;
use crate::{markdown, store};

/// Most events, the longest field of one in bytes, the longest text, and the most items.
const EVENTS: usize = 500;
const FIELD: usize = 16 * 1024;
const TEXT: usize = 256 * 1024;
const REFERENCES: usize = 20;

/// Something that was done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventBody {
    /// What was done, 1 byte to 16 KiB.
    pub description: String,
    /// With which tool.
    pub tool_name: Option<String>,
    /// Whether it went well.
    pub success: Option<bool>,
    /// What came of it, at most 16 KiB.
    pub output: Option<String>,
}

/// What a note is made of.
pub(super) struct Material {
    /// What was found without a model.
    pub sections: Sections,
    /// All of it, for a model.
    pub text: String,
    /// How many events, sentences or items.
    pub sources: usize,
    /// Items that it comes from, each with its version.
    pub references: Vec<String>,
    /// Secrets that were in it.
    pub redactions: usize,
}

/// Collects the material of a request.
pub(super) async fn collect(state: &State, by: &By, request: &Request) -> Result<Material, Problem> {
    match (&request.events, &request.text, &request.source_refs) {
        (Some(events), None, None) => of_events(events),
        (None, Some(text), None) => of_text(text),
        (None, None, Some(references)) => of_references(state, by, references).await,
        _ => Err(Problem::field(
            Code::InvalidBody,
            "",
            "send exactly one of events, text and sourceRefs",
        )),
    }
}

fn of_events(bodies: &[EventBody]) -> Result<Material, Problem> {
    if bodies.len() > EVENTS {
        let message = format!("a note is made of at most {EVENTS} events");
        return Err(Problem::field(Code::InvalidBody, "/events", message));
    }
    let mut redactions = 0;
    let mut clean = |text: &str| {
        let found = redact(&plain(text));
        redactions += found.count;
        found.text
    };
    let mut events = Vec::with_capacity(bodies.len());
    for (place, body) in bodies.iter().enumerate() {
        let fields = [Some(&body.description), body.tool_name.as_ref(), body.output.as_ref()];
        if fields
            .into_iter()
            .flatten()
            .any(|text| text.len() > FIELD || text.contains('\0'))
        {
            let message = format!("a field of an event has at most {FIELD} bytes, and no NUL");
            return Err(Problem::field(Code::InvalidBody, format!("/events/{place}"), message));
        }
        if plain(&body.description).trim().is_empty() {
            let message = "an event says what was done";
            return Err(Problem::field(
                Code::InvalidBody,
                format!("/events/{place}/description"),
                message,
            ));
        }
        events.push(Event {
            description: clean(&body.description),
            tool: body.tool_name.as_deref().map(&mut clean),
            success: body.success,
            output: body.output.as_deref().map(&mut clean),
        });
    }
    if events.len() < 2 {
        return Err(insufficient("two events at least are needed for a note"));
    }
    Ok(Material {
        sections: distil::of_events(&events),
        text: events.iter().map(show).collect(),
        sources: events.len(),
        references: Vec::new(),
        redactions,
    })
}

fn show(event: &Event) -> String {
    let went = match event.success {
        Some(true) => "went well",
        Some(false) => "failed",
        None => "done",
    };
    let (tool, output) = (
        event.tool.as_deref().unwrap_or("-"),
        event.output.as_deref().unwrap_or("-"),
    );
    format!("- {} [{tool}, {went}]: {output}\n", event.description)
}

fn of_text(text: &str) -> Result<Material, Problem> {
    if text.len() > TEXT || text.contains('\0') {
        let message = format!("a text has at most {TEXT} bytes, and no NUL");
        return Err(Problem::field(Code::InvalidBody, "/text", message));
    }
    distilled(text, None, Vec::new())
}

async fn of_references(state: &State, by: &By, paths: &[String]) -> Result<Material, Problem> {
    if paths.is_empty() || paths.len() > REFERENCES {
        let message = format!("a note is made of 1 to {REFERENCES} items");
        return Err(Problem::field(Code::InvalidBody, "/sourceRefs", message));
    }
    let (mut text, mut references) = (String::new(), Vec::new());
    for (place, path) in paths.iter().enumerate() {
        let path = ItemPath::parse(path).map_err(|error| path_problem(&format!("/sourceRefs/{place}"), &error))?;
        let stored = store::fetch(&state.pool, &by.scope, &path)
            .await
            .map_err(|error| Problem::database(&error))?
            .filter(|one| !one.deleted && by.rights.may_read(&one.author, one.snapshot.attributes.status))
            .ok_or_else(|| absent(&path))?;
        // An editor reads the drafts of others; by way of a note about one it would reach others still.
        if stored.snapshot.attributes.status == Status::Draft && stored.author != by.rights.subject() {
            return Err(absent(&path));
        }
        let about = about_stored(action::KNOWLEDGE_READ, &stored.path, &stored.snapshot.attributes);
        by.judge.check(about)?;
        text.push_str(&stored.snapshot.body);
        text.push_str("\n\n");
        references.push(format!("{}@{}", stored.path, stored.version));
    }
    distilled(&text, Some(references.len()), references)
}

fn distilled(text: &str, sources: Option<usize>, references: Vec<String>) -> Result<Material, Problem> {
    let clean = redact(&plain(text));
    let sentences: usize = markdown::paragraphs(&clean.text)
        .iter()
        .map(|paragraph| markdown::sentences(paragraph).len())
        .sum();
    if sentences < 2 {
        return Err(insufficient("two sentences at least are needed for a note"));
    }
    Ok(Material {
        sections: distil::of_text(&clean.text),
        text: clean.text,
        sources: sources.unwrap_or(sentences),
        references,
        redactions: clean.count,
    })
}

fn insufficient(message: &str) -> Problem {
    Problem::new(Code::InsufficientEvents, message)
}
