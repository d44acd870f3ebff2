//! Prints how fast the stand-in loads, searches and opens again, through the real client on the loopback.
//!
//! 100,000 points of 256 dimensions: one tenant of 25,000 and 75 of 1,000, in guarded pages of 1,000 as the
//! projection writes them. The client shares the machine, so the figures are lower bounds.

#![expect(
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "prints figures"
)]

use std::time::{Duration, Instant};

use aeterna_vectorstore::Server;
use anyhow::Context;
use qdrant_client::{
    Payload, Qdrant,
    qdrant::{
        Condition, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType, Filter,
        NamedVectors, PointStruct, QueryPointsBuilder, Range, UpsertPoints, VectorParamsBuilder, VectorsConfigBuilder,
    },
};
use serde_json::json;
use uuid::Uuid;

const SIZE: usize = 256;
const POINTS: usize = 100_000;
const PAGE: usize = 1000;
const LARGE: usize = 25_000;
const SEARCHES: usize = 300;
const NAME: &str = "memories";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let directory = std::env::temp_dir().join(format!("vectorstore-speed-{}", Uuid::new_v4()));
    let outcome = measure(&directory).await;
    std::fs::remove_dir_all(&directory)?;
    outcome
}

async fn measure(directory: &std::path::Path) -> anyhow::Result<()> {
    let server = Server::open(directory)?.start().await?;
    let client = Qdrant::from_url(&server.url())
        .timeout(Duration::from_mins(1))
        .build()?;
    create(&client).await?;
    for pass in [1, 2] {
        let pages: Vec<_> = (0..POINTS / PAGE).map(|page| build_page(page, pass)).collect();
        let start = Instant::now();
        for page in pages {
            client.upsert_points(page).await?;
        }
        let rate = POINTS as f64 / start.elapsed().as_secs_f64();
        println!("guarded upsert, pass {pass}: {rate:.0} points/s");
    }
    for (what, tenant) in [("25,000 points", "t0"), ("1,000 points", "t30")] {
        let (p50, p99) = search(&client, tenant).await?;
        println!("search of a tenant of {what}: p50 {p50:.2?}, p99 {p99:.2?}");
    }
    server.stop().await?;
    let start = Instant::now();
    let server = Server::open(directory)?.start().await?;
    println!("open {POINTS} points: {:.2?}", start.elapsed());
    server.stop().await?;
    Ok(())
}

async fn create(client: &Qdrant) -> anyhow::Result<()> {
    let mut vectors = VectorsConfigBuilder::default();
    let params = VectorParamsBuilder::new(SIZE as u64, Distance::Cosine);
    vectors.add_named_vector_params("content", params);
    client
        .create_collection(CreateCollectionBuilder::new(NAME).vectors_config(vectors))
        .await?;
    let index = CreateFieldIndexCollectionBuilder::new(NAME, "tenant", FieldType::Keyword);
    client.create_field_index(index.wait(true)).await?;
    Ok(())
}

fn tenant_of(n: usize) -> String {
    if n.is_multiple_of(POINTS / LARGE) {
        "t0".to_owned()
    } else {
        format!("t{}", 1 + n % 75)
    }
}

/// A number that looks like chance and is the same in every run.
fn noise(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn vector(seed: u64) -> Vec<f32> {
    let value = |n: u64| (noise(seed * 1000 + n) % 2000) as f32 / 1000.0 - 1.0;
    (0..SIZE as u64).map(value).collect()
}

fn build_page(page: usize, version: i64) -> UpsertPoints {
    let mut points = Vec::new();
    let mut guards = Vec::new();
    for n in page * PAGE..(page + 1) * PAGE {
        let high = u128::from(noise(n as u64 + 1)) << 64;
        let id = Uuid::from_u128(high | n as u128).to_string();
        let tenant = tenant_of(n);
        let payload = json!({
            "tenant": tenant, "generation": 1, "version": version, "deleted": false,
            "layer": "user", "hash": format!("{n:016x}"), "created": n as i64,
        });
        let payload = Payload::try_from(payload).unwrap_or_default();
        let vectors = NamedVectors::default().add_vector("content", vector(n as u64));
        points.push(PointStruct::new(id.clone(), vectors, payload));
        guards.push(guard(id, tenant, version));
    }
    UpsertPoints {
        collection_name: NAME.to_owned(),
        wait: Some(true),
        points,
        update_filter: Some(Filter::should(guards)),
        ..Default::default()
    }
}

fn guard(id: String, tenant: String, version: i64) -> Condition {
    let below = |key: &str, bound: f64| {
        let range = Range {
            lt: Some(bound),
            ..Default::default()
        };
        Condition::range(key, range)
    };
    let same = Condition::matches("generation", 1);
    let newer = Filter::must([same, below("version", version as f64)]);
    let newer = Filter::should([below("generation", 1.0), newer.into()]);
    let own = Condition::matches("tenant", tenant);
    Filter::must([Condition::has_id([id]), own, newer.into()]).into()
}

async fn search(client: &Qdrant, tenant: &str) -> anyhow::Result<(Duration, Duration)> {
    let mut times = Vec::new();
    for n in 0..SEARCHES {
        let floor = Range {
            gte: Some(1.0),
            ..Default::default()
        };
        let filter = Filter {
            must: vec![
                Condition::matches("tenant", tenant.to_owned()),
                Condition::range("generation", floor),
            ],
            must_not: vec![Condition::matches("deleted", true)],
            ..Default::default()
        };
        let query = QueryPointsBuilder::new(NAME).query(vector((POINTS + n) as u64));
        let query = query.using("content").filter(filter).limit(10).with_payload(true);
        let start = Instant::now();
        let found = client.query(query).await?.result.len();
        times.push(start.elapsed());
        anyhow::ensure!(found == 10, "found {found} of tenant {tenant}");
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().context("no searches");
    Ok((at(50)?, at(99)?))
}
