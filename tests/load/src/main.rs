//! The load generator's command line.
#![expect(clippy::print_stdout, reason = "it talks to a person, or to a script")]

use std::path::PathBuf;
use std::time::Duration;

use aeterna_load::client::Client;
use aeterna_load::traffic::Traffic;
use aeterna_load::{corpus, fill};
use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Fills, searches and loads a memory service.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Target {
    /// The memory service.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8001")]
    url: String,
    /// The tenant.
    #[arg(long, global = true, default_value = "default")]
    tenant: String,
}

#[derive(Subcommand)]
enum Command {
    /// Store texts: the descriptions of Debian packages, or a file, one text a line.
    Fill {
        /// The file.
        #[arg(long)]
        corpus: Option<PathBuf>,
        /// Texts to leave out at the beginning.
        #[arg(long, default_value_t = 0)]
        skip: usize,
        /// Texts to store, at most.
        #[arg(long, default_value_t = usize::MAX)]
        count: usize,
    },
    /// Search.
    Search {
        /// What for.
        query: String,
        /// Hits.
        #[arg(long, default_value_t = 3)]
        limit: u32,
    },
    /// Write, delete and search until SIGTERM, then check everything that was acknowledged.
    Traffic {
        /// Writes a second.
        #[arg(long, default_value_t = 200)]
        writes_per_second: u32,
        /// Searches at the same time.
        #[arg(long, default_value_t = 2)]
        readers: usize,
        /// Seconds, instead of until SIGTERM.
        #[arg(long)]
        seconds: Option<u64>,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { target, command } = Arguments::parse();
    let client = Client::new(&target.url, &target.tenant)?;
    match command {
        Command::Fill {
            corpus: file,
            skip,
            count,
        } => {
            let texts = file.as_deref().map_or_else(corpus::read_apt, corpus::read_file)?;
            let texts: Vec<String> = texts.into_iter().skip(skip).take(count).collect();
            ensure!(!texts.is_empty(), "there is no text behind the first {skip}");
            let total = texts.len();
            let took = fill::fill(&client, &texts, |done| println!("    {done} of {total} texts")).await?;
            println!(
                "    {total} texts stored in {:.1} s for tenant {}",
                took.as_secs_f64(),
                target.tenant
            );
            Ok(())
        }
        Command::Search { query, limit } => {
            let (answer, took) = client.search(&query, limit).await?;
            println!("    \"{query}\" ({:.0} ms)", took.as_secs_f64() * 1_000.0);
            for item in answer.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
                println!(
                    "      {:.3}  {}",
                    item.pointer("/score").and_then(Value::as_f64).unwrap_or_default(),
                    first_words(item)
                );
            }
            Ok(())
        }
        Command::Traffic {
            writes_per_second,
            readers,
            seconds,
        } => load(Traffic::new(client), writes_per_second, readers, seconds).await,
    }
}

fn first_words(item: &Value) -> String {
    item.pointer("/memory/content")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .chars()
        .take(90)
        .collect()
}

async fn load(traffic: Traffic, rate: u32, readers: usize, seconds: Option<u64>) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    let running = {
        let traffic = traffic.clone();
        tokio::spawn(async move { traffic.run(rate, readers, stopped).await })
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let over = tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(u64::from(u32::MAX))));
    tokio::pin!(over);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            () = &mut over => break,
            () = tokio::time::sleep(Duration::from_secs(2)) => println!("    {}", traffic.line()),
        }
    }
    stop.send(true)?;
    running.await??;
    let (writes, searches) = traffic.latencies();
    println!("    writes: {writes}");
    println!("    searches: {searches}, {}", traffic.failed_searches());
    let verdict = traffic.check().await?;
    println!("    {verdict}");
    ensure!(
        verdict.is_clean(),
        "the service lost what it had acknowledged, or brought back what was deleted"
    );
    Ok(())
}
