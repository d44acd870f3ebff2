//! The relocator's process: settings in, workers out.

use std::sync::Arc;

use axum::Router;
use clap::Parser as _;

use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_kit::http::health::{Need, Readiness, Scrape};
use aeterna_kit::http::observe;
use aeterna_kit::http::stack::{Stack, asked_to_end, serve};
use aeterna_kit::service;
use aeterna_kit::tasks::spawn_forever;
use aeterna_projection::store::Stores;
use aeterna_relocator::drive::Context;
use aeterna_relocator::settings::Settings;
use aeterna_relocator::{Probe, cleaner, verifier, worker};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::log();
    let settings = Settings::parse();
    let pool = connect_lazy(&settings.database_url, "aeterna-relocator", Limits::default())?;
    let asked = pool.clone();
    let readiness = Readiness::default().with("database", Need::Required, move || {
        let pool = asked.clone();
        async move {
            aeterna_projection::migrations()
                .check(&pool)
                .await
                .map_err(|error| error.to_string())
        }
    });
    let context = Context {
        pool: pool.clone(),
        stores: Arc::new(Stores::new(settings.qdrant_api_key.clone())),
        probe: Probe::default(),
    };
    spawn_forever("worker", worker::run(context.clone(), settings.concurrency));
    spawn_forever("cleaner", cleaner::run(context.clone()));
    spawn_forever("verifier", verifier::run(context));
    let recorder = observe::install("aeterna-relocator")?;
    let scrape = Scrape {
        recorder,
        pool: Some(pool),
    };
    let stack = Stack {
        readiness: readiness.clone(),
        scrape,
        open_to_browsers: false,
    };
    serve(stack.wrap(Router::new()), settings.port, readiness, asked_to_end()).await?;
    Ok(())
}
