//! `POST /api/v1/notes`: makes a note of what was done.

use axum::Json as Reply;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use aeterna_kit::hex::hex;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::rbac::action;

use super::material::{EventBody, Material, collect};
use crate::by::By;
use crate::item::change::{Precondition, Refusal};
use crate::item::draft::Draft;
use crate::item::{Item, Kind, Layer, Status, Stored};
use crate::notes::Sections;
use crate::notes::plain::{line, plain};
use crate::notes::redact::redact;
use crate::path::ItemPath;
use crate::permissions::{about, about_stored};
use crate::routes::knowledge::create::location;
use crate::state::State;
use crate::store::{self, Next, Outcome, Wanted};

/// Who makes notes.
const EXTRACTIVE: &str = "extractive";
const MODEL: &str = "model";

/// What to make a note of: exactly one of events, text and sourceRefs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NoteRequest)]
pub struct Request {
    /// What was done, in its order; 2 to 500.
    pub events: Option<Vec<EventBody>>,
    /// A text of two sentences to 256 KiB.
    pub text: Option<String>,
    /// Paths of 1 to 20 items.
    pub source_refs: Option<Vec<String>>,
    /// Whom the note speaks to.
    pub layer: Layer,
    /// A line; else the first sentence of what was found.
    pub title: Option<String>,
    /// Labels to search by, at most 64 of 128 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Who made it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Generator {
    /// `extractive`, or `model`.
    pub kind: &'static str,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A note, and how it was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The item that it is; a draft.
    #[serde(flatten)]
    pub item: Item,
    /// What was found.
    pub sections: Sections,
    /// What it is worth, 0 to 1.
    pub quality_score: f64,
    /// How many events, sentences or items it stands on.
    pub source_count: usize,
    /// Secrets that were taken out before anything was stored.
    pub redactions: usize,
    /// Who made it.
    pub generator: Generator,
    /// The same note was there before.
    pub unchanged: bool,
}

/// Makes a note, as a draft. The same material of the same caller gives the same note, once.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/notes", tag = "notes", request_body = Request,
    responses(
        (status = 201, description = "The note, a draft below notes/", body = Note),
        (status = 200, description = "The same note was there before", body = Note),
        (status = 403, description = "The caller's roles or the tenant's policies do not allow this"),
        (status = 404, description = "A source is not there"),
        (status = 409, description = "The note that was made of this before was changed since, or is asked for otherwise"),
        (status = 422, description = "A field does not fit, or there is too little to make a note of"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn create(by: By, Shared(state): Shared<State>, Json(request): Json<Request>) -> Result<Response, Problem> {
    if !by.rights.may_write() {
        return Err(Problem::new(
            Code::Forbidden,
            "your roles do not allow to write knowledge",
        ));
    }
    let material = collect(&state, &by, &request).await?;
    let path = path_of(by.rights.subject(), &material)?;
    let what = [Kind::Note.as_str(), request.layer.as_str(), Status::Draft.as_str()];
    by.judge.check(about(action::KNOWLEDGE_PROPOSE, path.as_str(), what))?;
    // A model says it differently each time: what was made of this before is looked for first.
    if let Some(before) = before(&state, &by, &path).await? {
        by.judge.check(about_stored(
            action::KNOWLEDGE_READ,
            path.as_str(),
            &before.snapshot.attributes,
        ))?;
        if !is_as_asked(&before, &request) {
            let version = before.version;
            return Err(store::Error::Refused(Refusal::Taken { version }).into());
        }
        return Ok(respond(StatusCode::OK, remember(before)));
    }
    let made = make(&state, &request, &material, &path).await?;
    let wanted = Wanted {
        path,
        next: Next::Draft(Box::new(made.draft)),
        demanded: Precondition::Absent,
        message: None,
    };
    let written = store::put(&state.pool, &by, wanted).await?;
    let unchanged = written.outcome == Outcome::Unchanged;
    let status = if unchanged { StatusCode::OK } else { StatusCode::CREATED };
    let note = Note {
        item: Item::from(written.stored),
        sections: made.sections,
        quality_score: made.quality,
        source_count: material.sources,
        redactions: made.redactions,
        generator: made.generator,
        unchanged,
    };
    Ok(respond(status, note))
}

fn respond(status: StatusCode, note: Note) -> Response {
    let location = [(header::LOCATION, location(&note.item.path))];
    (status, location, Reply(note)).into_response()
}

/// Fetches the caller's note at a path.
async fn before(state: &State, by: &By, path: &ItemPath) -> Result<Option<Stored>, Problem> {
    let stored = store::fetch(&state.pool, &by.scope, path).await;
    let stored = stored.map_err(|error| Problem::database(&error))?;
    // What is somebody else's is in the way; whoever writes is told so.
    Ok(stored.filter(|one| !one.deleted && one.author == by.rights.subject()))
}

/// Tells whether a note is as it was made, and as it is asked for now.
fn is_as_asked(before: &Stored, request: &Request) -> bool {
    let says = &before.snapshot.attributes;
    let mut tags: Vec<String> = request.tags.iter().map(|tag| redact(tag).text).collect();
    tags.sort();
    tags.dedup();
    let titled = request.title.as_ref().map(|title| redact(title).text);
    before.created_at == before.updated_at
        && (says.kind, says.layer) == (Kind::Note, request.layer)
        && says.tags == tags
        && titled.is_none_or(|title| title == says.title)
}

/// Tells of a note what was told when it was made.
fn remember(before: Stored) -> Note {
    let said = |name: &str| before.snapshot.attributes.metadata.get(name);
    let count = |name: &str| said(name).and_then(|count| usize::try_from(count.as_u64()?).ok());
    let model = said("model").and_then(|model| model.as_str()).map(str::to_owned);
    Note {
        sections: Sections::read(&before.snapshot.body),
        quality_score: said("qualityScore").and_then(Value::as_f64).unwrap_or_default(),
        source_count: count("sourceCount").unwrap_or_default(),
        redactions: count("redactions").unwrap_or_default(),
        generator: Generator {
            kind: if model.is_some() { MODEL } else { EXTRACTIVE },
            model,
        },
        unchanged: true,
        item: Item::from(before),
    }
}

/// A note that can be written.
struct Made {
    draft: Draft,
    sections: Sections,
    generator: Generator,
    redactions: usize,
    quality: f64,
}

/// Asks the model if there is one, and does without it where it fails, or says what cannot be an item.
async fn make(state: &State, request: &Request, material: &Material, path: &ItemPath) -> Result<Made, Problem> {
    if let Some(model) = &state.model {
        let said = model.distil(&material.text).await;
        let said = said.inspect_err(|error| tracing::info!(%error, "a note is made without the model"));
        if let Ok(said) = said {
            let (sections, redactions) = clean(&said);
            let generator = Generator {
                kind: MODEL,
                model: Some(model.name.clone()),
            };
            let made = compose(request, material, sections, generator, redactions);
            match made.draft.clone().resolve(path, None) {
                Ok(_) => return Ok(made),
                Err(error) => tracing::info!(%error, "what the model says is no note: it is made without"),
            }
        }
    }
    let generator = Generator {
        kind: EXTRACTIVE,
        model: None,
    };
    Ok(compose(request, material, material.sections.clone(), generator, 0))
}

/// Makes the note of what was found; `redactions` of it come from what the model said.
fn compose(
    request: &Request,
    material: &Material,
    sections: Sections,
    generator: Generator,
    redactions: usize,
) -> Made {
    let mut redactions = material.redactions + redactions;
    let title = title(request, &sections, &mut redactions);
    let tags = request.tags.iter().map(|tag| {
        let found = redact(tag);
        redactions += found.count;
        found.text
    });
    let tags = tags.collect();
    let quality = sections.quality(material.sources);
    let metadata = json!({
        "generator": generator.kind, "qualityScore": quality, "redactions": redactions,
        "sourceCount": material.sources, "sources": material.references,
    });
    let mut metadata = metadata.as_object().cloned().unwrap_or_else(Map::new);
    if let Some(model) = &generator.model {
        metadata.insert("model".to_owned(), json!(model));
    }
    let draft = Draft {
        content: sections.render(&title),
        title: Some(title),
        kind: Some(Kind::Note),
        layer: Some(request.layer),
        status: Some(Status::Draft),
        tags: Some(tags),
        metadata: Some(metadata),
        ..Draft::default()
    };
    Made {
        draft,
        sections,
        generator,
        redactions,
        quality,
    }
}

/// What a model says may hold a secret as well; returns how many it held.
fn clean(said: &Sections) -> (Sections, usize) {
    let mut redactions = 0;
    let mut clean = |text: &str| {
        let found = redact(&plain(text));
        redactions += found.count;
        found.text
    };
    let sections = Sections {
        context: clean(&said.context),
        problem: clean(&said.problem),
        solution: clean(&said.solution),
        patterns: said.patterns.iter().map(|pattern| clean(pattern)).collect(),
    };
    (sections, redactions)
}

fn title(request: &Request, sections: &Sections, redactions: &mut usize) -> String {
    if let Some(title) = &request.title {
        let found = redact(title);
        *redactions += found.count;
        return found.text;
    }
    let first = [&sections.problem, &sections.context, &sections.solution]
        .into_iter()
        .find(|section| !section.is_empty())
        .map_or("Note", String::as_str);
    let sentence = first.split(['.', '!', '?']).next().unwrap_or(first);
    let title: String = line(sentence).chars().take(80).collect();
    if title.trim().is_empty() {
        "Note".to_owned()
    } else {
        title.trim().to_owned()
    }
}

/// A path that the same material of the same caller's always gives, whoever distils it.
fn path_of(subject: &str, material: &Material) -> Result<ItemPath, Problem> {
    let mut hash = Sha256::new();
    hash.update(subject);
    hash.update([0]);
    hash.update(&material.text);
    let hash = hex(&hash.finalize());
    let name = hash.get(..24).unwrap_or_default();
    ItemPath::parse(&format!("notes/{name}.md"))
        .map_err(|error| Problem::hiding(Code::Internal, "the note has no place", &error))
}
