//! The operator's process.

use aeterna_operator::{run, settings::Settings};
use clap::Parser as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    aeterna_kit::service::log();
    run::run(Settings::parse()).await
}
