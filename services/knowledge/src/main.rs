//! The knowledge service's process.

use aeterna_kit::service::{self, Command, Definition, Foundation};
use knowledge_service::settings::Serve;
use knowledge_service::state::State;
use knowledge_service::{router, tokens};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::log();
    let definition = knowledge_service::definition();
    match service::parse::<Serve>() {
        Command::Serve(settings) => serve(&definition, &settings).await,
        Command::Migrate(wanted) => service::migrate(&definition, &wanted).await,
        Command::Openapi => service::print_document(&router::openapi()),
    }
}

async fn serve(definition: &Definition, Serve { kit, knowledge }: &Serve) -> anyhow::Result<()> {
    let laid = Foundation::lay(definition, kit)?;
    let state = State::assemble(&laid, knowledge)?;
    // The first count loads the vocabulary; no caller shall wait for it.
    tracing::info!(tokens = tokens::count("ready"), encoding = tokens::ENCODING, "counted");
    service::run(definition, kit, laid, router::router(state)).await
}
