//! What a user types.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Looks after the tenants of an Aeterna cluster.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 differences found or nothing verified, 5 timeout (the move goes
/// on).
#[derive(Debug, Parser)]
#[command(name = "aeterna-cli", version)]
pub struct Arguments {
    /// The namespace; the kubeconfig's own, when left out.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// How to answer.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document at the end.
    Json,
}

/// The things to look after.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tenants.
    #[command(subcommand)]
    Tenant(Tenant),
}

/// What to do with a tenant.
#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// Move a tenant to another shard, and follow the move.
    Migrate(Migrate),
    /// Compare a tenant's points with its memories.
    Verify(Verify),
    /// Tell where tenants are.
    Status(Status),
}

/// A move.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The tenant.
    #[arg(long)]
    pub tenant_id: String,
    /// The shard: one of the cluster's shared shards, or the name that a dedicated one has or shall get.
    #[arg(long)]
    pub to_shard: String,
    /// Compare all points with all memories afterwards.
    #[arg(long)]
    pub verify: bool,
    /// Seconds to wait for.
    #[arg(long, default_value_t = 3_600)]
    pub timeout: u64,
}

/// A verification.
#[derive(Debug, Args)]
pub struct Verify {
    /// The tenant.
    #[arg(long)]
    pub tenant_id: String,
    /// Compare now. Without it, the last comparison is told.
    #[arg(long)]
    pub check_all: bool,
    /// Seconds to wait for.
    #[arg(long, default_value_t = 3_600)]
    pub timeout: u64,
}

/// A look.
#[derive(Debug, Args)]
pub struct Status {
    /// Only this tenant, with all there is to tell.
    #[arg(long)]
    pub tenant_id: Option<String>,
}
