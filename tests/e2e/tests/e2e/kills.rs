//! Relocator and operator, killed where a move leaves each of its steps; the client's log is the oracle.

use std::time::Duration;

use aeterna_testkit::output;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::ground::{Ground, binaries, wait};
use crate::pods::Victim;

/// The steps of a move, in order.
const STEPS: [&str; 7] = ["Copy", "CatchUp", "Verify", "Await", "Cutover", "Retain", "Clean"];

/// A move after its death: the claim of the dead runs out, the successor starts, and the steps are done.
const RECOVERY: Duration = Duration::from_secs(90);

pub fn relocators_killed_at_every_step_lose_nothing(ground: &Ground) -> Result<()> {
    kill_at_every_step(ground, "acme", Victim::Relocator)
}

pub fn operators_killed_at_every_step_lose_nothing(ground: &Ground) -> Result<()> {
    kill_at_every_step(ground, "globex", Victim::Operator)
}

fn kill_at_every_step(ground: &Ground, tenant: &str, victim: Victim) -> Result<()> {
    ground.patch(
        "aeternacluster",
        "aeterna",
        &json!({"spec": {"sharding": {"retentionSeconds": 1}}}),
    )?;
    let load = ground.begin_load(tenant, 50)?;
    for step in STEPS {
        let home = ground.get("tenantshard", tenant)?;
        let (placement, shard) = opposite(&home, tenant)?;
        let aim = ground.aim(victim)?;
        let hold = ground.hold(step)?;
        ground.place(tenant, &placement)?;
        ground.wait_held().with_context(|| format!("no move leaves {step}"))?;
        ground.kill(&aim)?;
        println!("    {victim:?} has died at the end of {step}");
        ground.release(hold)?;
        ground.wait_replaced(victim)?;
        // The next move begins while this one's source is kept or cleaned.
        ground.wait_placed(tenant, &shard, RECOVERY)?;
    }
    wait_cleaned(ground, tenant)?;
    ground.end_load(load)?;
    verify_exact(ground, tenant)
}

/// Compares every point with its row. A difference is a failure, although the verification repairs it.
fn verify_exact(ground: &Ground, tenant: &str) -> Result<()> {
    let verify = [
        "tenant",
        "verify",
        "--tenant-id",
        tenant,
        "--check-all",
        "-n",
        "aeterna",
        "-o",
        "json",
    ];
    let shown = output(ground.command(binaries()?.join("aeterna-cli"), &verify))?;
    let document: Value = serde_json::from_str(&shown).context("not one JSON document")?;
    let found = &document["status"]["verification"];
    for finding in ["missing", "stale", "orphaned", "foreign"] {
        ensure!(found[finding] == 0, "{finding}: {found}");
    }
    ensure!(found["compared"].as_i64() > Some(0), "nothing was compared: {found}");
    Ok(())
}

/// Returns the placement where the tenant is not.
fn opposite(object: &Value, tenant: &str) -> Result<(Value, String)> {
    let shard = object["status"]["placement"]["shard"]
        .as_str()
        .context("the tenant is nowhere")?;
    if shard.starts_with("shared") {
        Ok((
            json!({"mode": "Dedicated", "dedicated": null, "shared": null}),
            format!("dedicated-{tenant}"),
        ))
    } else {
        let shard = "shared-shard-1".to_owned();
        Ok((
            json!({"mode": "Shared", "shared": {"shard": shard}, "dedicated": null}),
            shard,
        ))
    }
}

/// Waits until nothing is left of the move but its line in the history.
fn wait_cleaned(ground: &Ground, tenant: &str) -> Result<()> {
    wait(&format!("{tenant}'s source is clean"), RECOVERY, || {
        let status = &ground.get("tenantshard", tenant)?["status"];
        Ok((status["move"].is_null() && status["lastMoves"][0]["result"] == "Done").then_some(()))
    })
}
