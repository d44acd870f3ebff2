//! Records a shared shard of the local model and makes its collection, as the operator does: for a script that runs a memory
//! service without one.

use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_projection::store::Stores;
use aeterna_tenancy::shards::{self, NewShard};
use aeterna_tenancy::{ShardId, leader};
use clap::Parser;

/// What the local model makes of a text.
const DIMENSION: i32 = 256;

/// Records a shared shard.
#[derive(Parser)]
struct Arguments {
    /// The memory service's database, whose schemas are built.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The vector store.
    #[arg(long)]
    store_url: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let asked = Arguments::parse();
    let pool = connect_lazy(&asked.database_url, "aeterna-shard", Limits::default())?;
    let term = leader::raise_term(&pool).await?;
    let new = NewShard {
        shard_id: ShardId::new("shared-shard-1"),
        tenant: None,
        endpoint: asked.store_url.clone(),
        collection: "memories-shared".to_owned(),
        model: "wordllama-256".to_owned(),
        dimension: DIMENSION,
        // As many tenants as a script may make up.
        capacity: 100_000,
    };
    let shard = shards::record_shard(&pool, term, &new).await?;
    Stores::new(None)
        .at(&asked.store_url)?
        .ensure_collection(&shard)
        .await?;
    shards::mark_ready(&pool, term, &shard).await?;
    Ok(())
}
