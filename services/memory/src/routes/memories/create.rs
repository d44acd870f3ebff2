//! `POST /api/v1/memories`: stores a memory.

use std::collections::BTreeMap;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};
use aeterna_projection::truth::{Kind, Outcome, WriteItem, Written};

use super::change;
use crate::layer::Layer;
use crate::memory::{IndexState, Memory};
use crate::state::State;
use crate::store;

/// Longest content, in bytes.
const CONTENT: usize = 32 * 1024;

/// Largest metadata, in bytes of JSON.
const METADATA: usize = 16 * 1024;

/// Most tags, and the longest one in bytes.
const TAGS: (usize, usize) = (64, 128);

/// The identifiers that a memory may have.
const IDENTIFIERS: [&str; 7] = [
    "userId",
    "agentId",
    "sessionId",
    "projectId",
    "teamId",
    "orgId",
    "companyId",
];

/// The header that makes a retry store nothing twice.
const KEY: &str = "Idempotency-Key";

/// Longest identifier, in bytes.
const IDENTIFIER: usize = 256;

/// A memory to store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = MemoryRequest)]
pub struct Request {
    /// The text, 1 byte to 32 KiB.
    pub content: String,
    /// Whose memory it is.
    #[schema(value_type = Layer)]
    pub layer: String,
    /// Which one: userId, agentId, sessionId, projectId, teamId, orgId, companyId. A memory of layer user without one is
    /// the caller's.
    #[serde(default)]
    pub identifiers: BTreeMap<String, String>,
    /// Anything else, at most 16 KiB of JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Labels to search by, at most 64 of 128 bytes.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How important it is, 0 to 1.
    pub importance: Option<f32>,
    /// When it dies by itself; in the future.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// An id of the caller's own. The same id with the same content is the same memory, stored once.
    pub id: Option<Uuid>,
    /// `exact`: an equal live memory of the same layer and identifiers is returned instead of stored again.
    #[serde(default)]
    pub dedupe: Dedupe,
}

/// What an equal memory means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dedupe {
    /// Nothing.
    #[default]
    None,
    /// This one.
    Exact,
}

/// A stored memory, and what storing it did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// The memory.
    #[serde(flatten)]
    pub memory: Memory,
    /// It was there before.
    pub deduplicated: bool,
    /// Whether a vector search finds it already.
    pub index_state: IndexState,
}

/// Stores a memory.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/memories", tag = "memories", request_body = Request,
    params(("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key stores nothing twice")),
    responses(
        (status = 201, description = "Stored", body = Stored),
        (status = 200, description = "It was there before", body = Stored),
        (status = 400, description = "The request names no tenant, or is not JSON"),
        (status = 409, description = "The id is taken by other content"),
        (status = 410, description = "The memory of the Idempotency-Key was deleted"),
        (status = 413, description = "The body is larger than 1 MiB"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away or the tenant is at its cutover; see Retry-After"),
        (status = 507, description = "The tenant is new, and no shared shard has room for it"),
    )
)]
pub async fn create(
    caller: Caller,
    Shared(state): Shared<State>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Result<Response, Problem> {
    let item = check(request, &caller, &headers)?;
    let change::Done { written, item, model } = change::write(&state, &caller.scope, item).await?;
    match written.outcome {
        Outcome::Created => {
            let memory = assemble(&caller, &item, &written, model);
            let index_state = change::apply(&state, &caller.scope, item, &written).await;
            Ok(respond(
                StatusCode::CREATED,
                Stored {
                    memory,
                    deduplicated: false,
                    index_state,
                },
            ))
        }
        Outcome::Duplicate | Outcome::Exists => {
            let stored = store::fetch(&state.pool, &caller.scope, written.id)
                .await
                .map_err(|error| Problem::database(&error))?
                .ok_or_else(|| {
                    Problem::new(Code::MemoryDeleted, "the equal memory was deleted meanwhile; try again")
                })?;
            let stored = Stored {
                memory: stored.memory,
                deduplicated: true,
                index_state: IndexState::Indexed,
            };
            Ok(respond(StatusCode::OK, stored))
        }
        Outcome::Gone => Err(Problem::new(
            Code::MemoryDeleted,
            "the memory of this Idempotency-Key was deleted; store it anew under another key",
        )),
        Outcome::Conflict | Outcome::Deleted | Outcome::Renewed | Outcome::Absent => {
            let detail = format!(
                "memory {} has other content, another layer or other identifiers",
                written.id
            );
            Err(Problem::field(Code::MemoryConflict, "/id", detail))
        }
    }
}

fn respond(status: StatusCode, stored: Stored) -> Response {
    let location = format!("/api/v1/memories/{}", stored.memory.id);
    let etag = stored.memory.etag();
    (
        status,
        [(header::LOCATION, location), (header::ETAG, etag)],
        axum::Json(stored),
    )
        .into_response()
}

/// Checks every field; what passes is what is stored.
fn check(request: Request, caller: &Caller, headers: &HeaderMap) -> Result<WriteItem, Problem> {
    let id = choose_id(request.id, caller, headers)?;
    let refused = |code, pointer: &str, message: String| Err(Problem::field(code, pointer, message));
    let Some(layer) = Layer::parse(&request.layer) else {
        let message = format!("layer is {:?}, and must be one of: {}", request.layer, Layer::list());
        return refused(Code::InvalidLayer, "/layer", message);
    };
    if request.content.trim().is_empty() || request.content.len() > CONTENT {
        let message = format!(
            "content has {} bytes, and must have 1 to {CONTENT} and be no blank",
            request.content.len()
        );
        return refused(Code::InvalidContent, "/content", message);
    }
    if request.content.contains('\0') {
        return refused(
            Code::InvalidContent,
            "/content",
            "content must not contain NUL".to_owned(),
        );
    }
    if request.tags.len() > TAGS.0 || request.tags.iter().any(|tag| !is_label(tag, TAGS.1)) {
        return refused(
            Code::InvalidBody,
            "/tags",
            format!("at most {} tags of 1 to {} bytes", TAGS.0, TAGS.1),
        );
    }
    let metadata = Value::Object(request.metadata);
    let text = metadata.to_string();
    if text.len() > METADATA || text.contains("\\u0000") {
        return refused(
            Code::InvalidBody,
            "/metadata",
            format!("at most {METADATA} bytes of JSON, and no NUL"),
        );
    }
    if request.importance.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
        return refused(Code::InvalidBody, "/importance", "importance is 0 to 1".to_owned());
    }
    if request.expires_at.is_some_and(|at| at <= clock::now()) {
        return refused(
            Code::InvalidBody,
            "/expiresAt",
            "expiresAt must be in the future".to_owned(),
        );
    }
    let identifiers = check_identifiers(request.identifiers, layer, caller)?;
    Ok(WriteItem {
        layer: Some(layer.as_str().to_owned()),
        content_hash: Sha256::digest(&request.content).to_vec(),
        content: Some(request.content),
        identifiers,
        metadata,
        tags: request.tags,
        importance: request.importance,
        expires_at: request.expires_at,
        dedupe: request.dedupe == Dedupe::Exact,
        keyed: headers.contains_key(KEY),
        ..WriteItem::bare(Kind::Create, id)
    })
}

fn is_label(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && !text.contains('\0')
}

fn check_identifiers(
    mut identifiers: BTreeMap<String, String>,
    layer: Layer,
    caller: &Caller,
) -> Result<Value, Problem> {
    for (name, value) in &identifiers {
        if !IDENTIFIERS.contains(&name.as_str()) || !is_label(value, IDENTIFIER) {
            let message = format!(
                "identifiers are {}, each of 1 to {IDENTIFIER} bytes",
                IDENTIFIERS.join(", ")
            );
            return Err(Problem::field(
                Code::InvalidBody,
                format!("/identifiers/{name}"),
                message,
            ));
        }
    }
    if layer == Layer::User {
        identifiers
            .entry("userId".to_owned())
            .or_insert_with(|| caller.subject.clone());
    }
    Ok(identifiers
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect::<Map<_, _>>()
        .into())
}

/// The caller's id, or one that its idempotency key fixes, or a new one.
fn choose_id(id: Option<Uuid>, caller: &Caller, headers: &HeaderMap) -> Result<Uuid, Problem> {
    let Some(key) = headers.get(KEY) else {
        return Ok(id.unwrap_or_else(Uuid::now_v7));
    };
    if id.is_some() {
        return Err(Problem::field(
            Code::InvalidHeader,
            KEY,
            "send an id or an Idempotency-Key, not both",
        ));
    }
    if key.is_empty() || key.len() > IDENTIFIER {
        return Err(Problem::field(
            Code::InvalidHeader,
            KEY,
            format!("a key has 1 to {IDENTIFIER} bytes"),
        ));
    }
    let mut hash = Sha256::new();
    hash.update(&caller.subject);
    hash.update([0]);
    hash.update(key.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    Ok(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The memory as the row has it, without reading it again.
fn assemble(caller: &Caller, item: &WriteItem, written: &Written, model: String) -> Memory {
    let strings = |value: &Value| {
        value
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
            .collect()
    };
    let now = clock::now();
    Memory {
        id: written.id,
        tenant_id: caller.scope.tenant().to_string(),
        content: item.content.clone().unwrap_or_default(),
        layer: item.layer.as_deref().and_then(Layer::parse).unwrap_or(Layer::User),
        identifiers: strings(&item.identifiers),
        metadata: item.metadata.as_object().cloned().unwrap_or_default(),
        tags: item.tags.clone(),
        importance: item.importance,
        version: written.version.unwrap_or_default(),
        content_hash: aeterna_kit::hex::hex(&item.content_hash),
        embedding_model: model,
        created_at: written.created_at.unwrap_or(now),
        updated_at: written.updated_at.unwrap_or(now),
        expires_at: item.expires_at,
    }
}
