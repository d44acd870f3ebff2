//! The governance service's process.

use aeterna_kit::config::Settings;
use aeterna_kit::service::{self, Command, Definition, Foundation};
use governance_service::router;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service::log();
    let definition = Definition {
        name: "governance-service",
        port: 8003,
        migrations: Vec::new(),
    };
    match service::parse::<Settings>() {
        Command::Serve(settings) => {
            let laid = Foundation::lay(&definition, &settings)?;
            service::run(&definition, &settings, laid, router::router()).await
        }
        Command::Migrate(database) => service::migrate(&definition, &database).await,
        Command::Openapi => service::print_document(&router::openapi()),
    }
}
