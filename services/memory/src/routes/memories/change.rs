//! What creating and deleting share: the write, its retries, and its way into Qdrant.

use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::problem::{Code, Problem};
use aeterna_projection::apply::{Applied, Pending};
use aeterna_projection::truth::{self, Kind, Row, State as RowState, WriteItem, Written};

use crate::memory::IndexState;
use crate::state::{State, embedding_problem};
use crate::writer;

/// How long an answer waits for Qdrant; later, it says `pending`.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// Tries of a write: an unknown tenant is registered, another model embeds again; each happens once.
const TRIES: usize = 3;

/// An item that was written.
pub struct Done {
    /// The answer.
    pub written: Written,
    /// The item as it was written.
    pub item: WriteItem,
    /// The model that embedded it.
    pub model: String,
}

/// Embeds and writes an item.
///
/// # Errors
/// What the caller is told.
pub async fn write(state: &State, scope: &TenantScope, mut item: WriteItem) -> Result<Done, Problem> {
    let mut model = state.model_of(scope);
    for _ in 1..TRIES {
        item.embedding = embed(state, scope, &model, &item).await?;
        match state.writer.write(scope, &model, item.clone()).await {
            Ok(written) => return Ok(finish(state, scope, written, item, model)),
            Err(writer::Error::Truth(error)) => match &*error {
                truth::Error::TenantUnknown { .. } => state.onboard(scope).await?,
                truth::Error::ModelDiffers { wanted } => model.clone_from(wanted),
                truth::Error::NotWritable { .. }
                | truth::Error::Fenced { .. }
                | truth::Error::Transaction { .. }
                | truth::Error::Database { .. }
                | truth::Error::Embedding { .. } => return Err(problem(&error)),
            },
            Err(error @ writer::Error::Full) => return Err(Problem::new(Code::Overloaded, error.to_string())),
            Err(error @ writer::Error::Lost) => {
                return Err(Problem::hiding(Code::Internal, "the write failed", &error));
            }
        }
    }
    item.embedding = embed(state, scope, &model, &item).await?;
    match state.writer.write(scope, &model, item.clone()).await {
        Ok(written) => Ok(finish(state, scope, written, item, model)),
        Err(writer::Error::Truth(error)) => Err(problem(&error)),
        Err(error) => Err(Problem::hiding(
            Code::Unavailable,
            "the write failed; try again",
            &error,
        )),
    }
}

fn finish(state: &State, scope: &TenantScope, written: Written, item: WriteItem, model: String) -> Done {
    if item.kind == Kind::Create {
        state.routes.put_model(scope.tenant(), &model);
    }
    Done { written, item, model }
}

async fn embed(state: &State, scope: &TenantScope, model: &str, item: &WriteItem) -> Result<Vec<f32>, Problem> {
    let Some(content) = &item.content else {
        return Ok(Vec::new());
    };
    let model = state.embedders.get(model).map_err(|error| {
        Problem::hiding(
            Code::EmbeddingFailed,
            "the tenant's model is not configured here",
            &error,
        )
    })?;
    model
        .embed(scope, content)
        .await
        .map_err(|error| embedding_problem("/content", &error))
}

fn problem(error: &truth::Error) -> Problem {
    match error {
        truth::Error::Fenced { .. } => Problem::hiding(
            Code::TenantMoving,
            "the tenant's data is being moved; try again in a second",
            error,
        ),
        truth::Error::NotWritable { .. } => Problem::new(Code::TenantNotWritable, error.to_string()),
        truth::Error::Database { source, .. } => Problem::database(source),
        truth::Error::TenantUnknown { .. }
        | truth::Error::ModelDiffers { .. }
        | truth::Error::Transaction { .. }
        | truth::Error::Embedding { .. } => Problem::hiding(
            Code::Unavailable,
            "the memory could not be written; try again soon",
            error,
        ),
    }
}

/// Brings a written item to Qdrant, for a while.
pub async fn apply(state: &State, scope: &TenantScope, item: WriteItem, written: &Written) -> IndexState {
    let (Some(outbox_id), Some(point_id), Some(version)) = (written.outbox_id, written.point_id, written.version)
    else {
        // Nothing was changed, so nothing is to be learned.
        return IndexState::Indexed;
    };
    let created = item.kind == Kind::Create;
    let row = Row {
        point_id,
        id: written.id,
        version,
        state: if created { RowState::Live } else { RowState::Deleted },
        layer: item.layer.unwrap_or_default(),
        identifiers: item.identifiers,
        tags: item.tags,
        content_hash: item.content_hash,
        embedding: if created { item.embedding } else { Vec::new() },
    };
    let rows = vec![Pending { row, outbox_id }];
    match state
        .applier
        .apply(scope, &written.shard, written.generation, rows, PATIENCE)
        .await
    {
        Applied::Indexed => IndexState::Indexed,
        Applied::Pending => IndexState::Pending,
    }
}
