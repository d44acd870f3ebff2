//! Measures what `docs/performance.md` states: each figure beside what it is held against, in one run.
//!
//! Two rules make the figures worth something. What is compared runs in turns, in this run, on the same rows and the same
//! servers; and whatever a user runs as a process is a process here ([`process`]): PostgreSQL with fsync, the vector store,
//! the services, the relocator, the operator. [`ground`] lays what they stand on, [`figures`] has one file a figure.
#![expect(clippy::print_stdout, reason = "it talks to a person")]

mod apiserver;
mod corpus;
mod figures;
mod ground;
mod http;
mod process;
mod rounds;
mod scrape;
mod stats;
mod table;

use aeterna_testkit::Postgres;
use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::ground::Ground;

/// Measures moves, the services and the operator.
#[derive(Parser)]
struct Arguments {
    /// Only these parts; all, when left out.
    #[arg(long, env = "BENCH_ONLY", value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// TenantShards for the operator.
    #[arg(long, env = "BENCH_SHARDS", default_value_t = 300)]
    shards: usize,
}

/// What is measured together, on a ground of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Copy rate and write pause.
    Move,
    /// Reads, writes and searches over HTTP.
    Service,
    /// The knowledge service's reads, searches and writes over HTTP.
    Knowledge,
    /// The governance service's decisions and policies over HTTP.
    Governance,
    /// The sync service's jobs over HTTP.
    Sync,
    /// Memory and passes of the operator.
    Operator,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { only, shards } = Arguments::parse();
    let wanted = |part| only.is_empty() || only.contains(&part);
    let postgres = Postgres::start_durable().await?;
    let mut rows = Vec::new();
    if wanted(Part::Move) {
        let ground = Ground::lay(&postgres).await?;
        rows.extend(figures::copy::measure(&ground).await?);
        rows.extend(figures::pause::measure(&ground).await?);
    }
    if wanted(Part::Service) {
        let ground = Ground::lay(&postgres).await?;
        let served = figures::served::start(&ground).await?;
        let read = figures::served::Read::fill(&ground).await?;
        rows.extend(figures::get::measure(&ground, &served, &read).await?);
        rows.extend(figures::search::measure(&ground, &served, &read).await?);
        rows.extend(figures::post::measure(&ground, &served).await?);
    }
    if wanted(Part::Knowledge) {
        let ground = Ground::lay(&postgres).await?;
        rows.extend(figures::knowledge::measure(&ground).await?);
    }
    if wanted(Part::Governance) {
        let ground = Ground::lay(&postgres).await?;
        rows.extend(figures::governance::measure(&ground).await?);
    }
    if wanted(Part::Sync) {
        let ground = Ground::lay(&postgres).await?;
        rows.extend(figures::sync::measure(&ground).await?);
    }
    if wanted(Part::Operator) {
        let ground = Ground::lay(&postgres).await?;
        rows.extend(figures::operator::measure(&ground, shards).await?);
    }
    println!("\n{}", table::render(&rows));
    Ok(())
}
