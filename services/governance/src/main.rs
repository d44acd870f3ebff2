//! The governance service's process.

use aeterna_kit::service::{self, Command, Definition, Foundation};
use governance_service::router;
use governance_service::settings::Serve;
use governance_service::state::State;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::log();
    let definition = governance_service::definition();
    match service::parse::<Serve>() {
        Command::Serve(settings) => serve(&definition, &settings).await,
        Command::Migrate(wanted) => service::migrate(&definition, &wanted).await,
        Command::Openapi => service::print_document(&router::openapi()),
    }
}

async fn serve(definition: &Definition, Serve { kit, governance }: &Serve) -> anyhow::Result<()> {
    let laid = Foundation::lay(definition, kit)?;
    let state = State::assemble(&laid, governance)?;
    state.spawn_workers();
    service::run(definition, kit, laid, router::router(state)).await
}
