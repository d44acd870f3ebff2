//! The seed's failover test: all memory pods deleted under load.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::ground::{Ground, wait};

pub fn the_seeds_failover_test_loses_no_acknowledged_write(ground: &Ground) -> Result<()> {
    let load = ground.begin_load("acme", 100)?;
    wait("writes are acknowledged", Duration::from_secs(10), || {
        Ok((load.acknowledged() > 100).then_some(()))
    })?;
    let seed = [
        "delete",
        "pod",
        "-n",
        "aeterna",
        "-l",
        "app=memory-service",
        "--field-selector=status.phase=Running",
        "--wait=false",
    ];
    ground.kubectl(&seed)?;
    let killed = Instant::now();
    let before = load.acknowledged();
    wait("writes are acknowledged again", Duration::from_secs(30), || {
        Ok((load.acknowledged() > before + 100).then_some(()))
    })?;
    println!("    writes go on after {:.1} s", killed.elapsed().as_secs_f64());
    wait(
        "both pods are back",
        Duration::from_secs(30).saturating_sub(killed.elapsed()),
        || {
            let pods = ground.list("pods", "aeterna", "app=memory-service")?;
            let ready = pods
                .iter()
                .filter(|pod| pod["status"]["containerStatuses"][0]["ready"] == true);
            let living = ready
                .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
                .count();
            Ok((living >= 2).then_some(()))
        },
    )?;
    let back = killed.elapsed();
    println!("    both pods are back after {:.1} s", back.as_secs_f64());
    ensure!(back < Duration::from_secs(30), "the pods were back after {back:?}");
    ground.end_load(load)
}
