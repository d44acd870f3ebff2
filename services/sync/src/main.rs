//! The sync service's process.

use aeterna_kit::service::{self, Command, Definition, Foundation};
use sync_service::router;
use sync_service::settings::Serve;
use sync_service::state::State;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::log();
    let definition = sync_service::definition();
    match service::parse::<Serve>() {
        Command::Serve(settings) => serve(&definition, &settings).await,
        Command::Migrate(wanted) => service::migrate(&definition, &wanted).await,
        Command::Openapi => service::print_document(&router::openapi()),
    }
}

async fn serve(definition: &Definition, Serve { kit, sync }: &Serve) -> anyhow::Result<()> {
    let laid = Foundation::lay(definition, kit)?;
    let state = State::assemble(&laid, kit, sync)?;
    state.spawn_workers();
    let served = service::run(definition, kit, laid, router::router(state.clone())).await;
    state.leave().await;
    served
}
