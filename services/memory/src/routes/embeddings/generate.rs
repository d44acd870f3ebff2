//! `POST /api/v1/embeddings/generate`: vectors of texts, as memories would get them.

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::Json;
use aeterna_kit::problem::{Code, Problem};

use crate::state::{State, embedding_problem};

/// Most texts of one request.
const MOST: usize = 128;

/// Longest text, in bytes: that of a memory.
const LONGEST: usize = 32 * 1024;

/// One text or many.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Input {
    /// One.
    One(String),
    /// Many, at most 128.
    Many(Vec<String>),
}

/// What to embed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = EmbeddingRequest)]
pub struct Request {
    /// The texts, each of at most 32 KiB.
    pub input: Input,
    /// The model; the tenant's own when left out.
    pub model: Option<String>,
}

/// The vectors.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EmbeddingResponse)]
pub struct Response {
    /// The model that made them.
    pub model: String,
    /// How many dimensions they have.
    pub dimension: usize,
    /// One vector a text, in the order of the texts.
    pub embeddings: Vec<Vec<f32>>,
}

/// Embeds texts.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/embeddings/generate", tag = "embeddings", request_body = Request,
    responses(
        (status = 200, description = "The vectors", body = Response),
        (status = 422, description = "A text is empty or too long, or the model is not configured"),
        (status = 502, description = "The model did not answer"),
    )
)]
pub async fn generate(
    caller: Caller,
    Shared(state): Shared<State>,
    Json(request): Json<Request>,
) -> Result<Reply<Response>, Problem> {
    let texts = match request.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    if texts.is_empty() || texts.len() > MOST {
        return Err(Problem::field(
            Code::InvalidContent,
            "/input",
            format!("send 1 to {MOST} texts"),
        ));
    }
    if let Some(place) = texts.iter().position(|text| text.is_empty() || text.len() > LONGEST) {
        let message = format!("a text has 1 to {LONGEST} bytes");
        return Err(Problem::field(Code::InvalidContent, format!("/input/{place}"), message));
    }
    let name = request.model.unwrap_or_else(|| state.model_of(&caller.scope));
    let model = state
        .embedders
        .get(&name)
        .map_err(|error| Problem::field(Code::InvalidBody, "/model", error.to_string()))?;
    let mut embeddings = Vec::with_capacity(texts.len());
    for text in &texts {
        embeddings.push(
            model
                .embed(&caller.scope, text)
                .await
                .map_err(|error| embedding_problem("/input", &error))?,
        );
    }
    Ok(Reply(Response {
        dimension: model.dimension(),
        model: name,
        embeddings,
    }))
}
