//! An endpoint that speaks OpenAI's embeddings API, with the tests' own model behind it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::ground::embed;

/// The endpoint.
#[derive(Clone, Default)]
pub struct ModelServer {
    away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl ModelServer {
    /// Starts it; returns its base URL.
    pub async fn start(&self) -> Result<String> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let router = Router::new()
            .route("/v1/embeddings", post(answer))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(url)
    }

    /// Refuses from now on.
    pub fn go_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    /// Returns how many texts it was asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(server): State<ModelServer>, Json(request): Json<Value>) -> (StatusCode, Json<Value>) {
    if server.away.load(Ordering::SeqCst) {
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({"error": "out of order"})),
        );
    }
    let texts = request["input"].as_array().cloned().unwrap_or_default();
    server.asked.fetch_add(texts.len(), Ordering::SeqCst);
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"index": index, "embedding": embed(text.as_str().unwrap_or_default())}))
        .collect();
    (StatusCode::OK, Json(json!({"data": data, "model": request["model"]})))
}
