//! The stores stop under load and start again.

use std::process::Command;
use std::time::Duration;

use aeterna_testkit::output;
use anyhow::{Result, ensure};

use crate::ground::{Ground, Load, wait};

/// How long a store is away.
const AWAY: Duration = Duration::from_secs(5);

pub fn postgres_stopped_under_load_loses_no_acknowledged_write(ground: &Ground) -> Result<()> {
    // Immediate shutdown: no time to finish anything.
    outage(ground, "postgres", "-QUIT", "start_postgres").map(|_| ())
}

pub fn redis_stopped_under_load_is_not_noticed_by_writers(ground: &Ground) -> Result<()> {
    let during = outage(ground, "redis", "-KILL", "start_redis")?;
    ensure!(
        during > 50,
        "only {during} writes were acknowledged while Redis was away"
    );
    Ok(())
}

pub fn the_vector_store_killed_under_load_loses_no_acknowledged_write(ground: &Ground) -> Result<()> {
    let during = outage(ground, "vectorstore", "-KILL", "start_vectorstore")?;
    ensure!(
        during > 50,
        "only {during} writes were acknowledged while the vector store was away"
    );
    Ok(())
}

/// Stops a server, starts it again, and checks what was acknowledged; returns how many writes were while it was away.
fn outage(ground: &Ground, server: &str, signal: &str, start: &str) -> Result<u64> {
    let load = ground.begin_load("acme", 50)?;
    wait_for_more(&load)?;
    let id = std::fs::read_to_string(ground.state()?.join(format!("{server}.pid")))?;
    let id = id.trim();
    output(Command::new("kill").args([signal, id]))?;
    wait(&format!("{server} is gone"), Duration::from_secs(10), || {
        Ok((!std::path::Path::new("/proc").join(id).join("exe").exists()).then_some(()))
    })?;
    let before = load.acknowledged();
    // The outage is this long: nothing is waited for.
    std::thread::sleep(AWAY);
    let during = load.acknowledged() - before;
    println!("    {during} writes were acknowledged while {server} was away");
    ground.run(start)?;
    wait_for_more(&load)?;
    ground.end_load(load)?;
    ground.wait_ready("aeternacluster", "aeterna", Duration::from_secs(60))?;
    ground.wait_ready("tenantshard", "acme", Duration::from_secs(60))?;
    Ok(during)
}

fn wait_for_more(load: &Load) -> Result<()> {
    let before = load.acknowledged();
    wait("writes are acknowledged", Duration::from_secs(30), || {
        Ok((load.acknowledged() > before + 100).then_some(()))
    })
}
