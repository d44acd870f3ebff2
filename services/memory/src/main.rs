//! The memory service's process.

use std::sync::Arc;

use clap::Args;

use aeterna_kit::config::Settings;
use aeterna_kit::migrate::kit_migrations;
use aeterna_kit::service::{self, Command, Definition, Foundation};
use aeterna_kit::tasks::spawn_forever;
use aeterna_projection::{apply::Applier, relay, store::Stores};
use memory_service::settings::MemorySettings;
use memory_service::state::{Routes, State};
use memory_service::writer::Writer;
use memory_service::{router, sweeper};

/// What serving needs.
#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    kit: Settings,
    #[command(flatten)]
    memory: MemorySettings,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::log();
    let definition = Definition {
        name: "memory-service",
        port: 8001,
        migrations: vec![
            kit_migrations(),
            aeterna_tenancy::migrations(),
            aeterna_projection::migrations(),
        ],
    };
    match service::parse::<Serve>() {
        Command::Serve(settings) => serve(&definition, &settings).await,
        Command::Migrate(database) => service::migrate(&definition, &database).await,
        Command::Openapi => service::print_document(&router::openapi()),
    }
}

async fn serve(definition: &Definition, Serve { kit, memory }: &Serve) -> anyhow::Result<()> {
    let laid = Foundation::lay(definition, kit)?;
    let applier = Applier::new(laid.pool.clone(), Stores::new(memory.qdrant_api_key.clone()));
    let state = State {
        pool: laid.pool.clone(),
        authenticator: laid.authenticator.clone(),
        embedders: Arc::new(memory.embedders(&laid.cache)?),
        applier: applier.clone(),
        writer: Writer::new(laid.pool.clone()),
        onboarding: memory.onboarding,
        routes: Routes::default(),
    };
    spawn_forever("relay", relay::run(laid.pool.clone(), applier));
    spawn_forever("sweeper", sweeper::run(state.clone()));
    service::run(definition, kit, laid, router::router(state)).await
}
