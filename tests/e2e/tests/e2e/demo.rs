//! The demo's flow, by what it prints.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::ground::Ground;

/// What issue and README promise, once things are built.
const LIMIT: Duration = Duration::from_secs(300);

pub fn the_demo_moves_a_tenant_there_and_back_and_loses_nothing(ground: &Ground) -> Result<()> {
    let lines: Vec<&str> = ground.shown.lines().map(str::trim).collect();
    let verdicts: Vec<_> = lines.iter().filter(|line| line.starts_with("acknowledged ")).collect();
    ensure!(verdicts.len() == 2, "{} moves were judged", verdicts.len());
    for verdict in verdicts {
        ensure!(verdict.ends_with("lost 0, came back 0"), "{verdict}");
        let count = |word: &str| {
            verdict
                .split_once(word)
                .and_then(|(_, rest)| rest.split(',').next()?.trim().parse::<u64>().ok())
        };
        let (acknowledged, found) = (count("acknowledged"), count("found"));
        ensure!(acknowledged > Some(0) && acknowledged == found, "{verdict}");
    }
    let stored = lines
        .iter()
        .find_map(|line| {
            line.strip_suffix("for tenant large-corp")?
                .split(' ')
                .next()?
                .parse::<u64>()
                .ok()
        })
        .context("nothing was stored for large-corp")?;
    ensure!(stored > 20_000, "large-corp has {stored} texts");
    let verified = lines.iter().filter(|line| line.starts_with("verified ")).count();
    ensure!(verified == 2, "{verified} moves were verified");
    let searches: Vec<_> = lines.iter().filter(|line| line.starts_with("searches: ")).collect();
    ensure!(searches.len() == 2, "{} moves were searched", searches.len());
    for line in searches {
        ensure!(line.ends_with(", 0 failed, 0 degraded"), "reads paused: {line}");
    }
    let web = lines
        .iter()
        .position(|line| line.contains("a web server written in Rust"))
        .context("no search")?;
    let hits: Vec<&str> = lines.iter().skip(web + 1).take(3).copied().collect();
    let sensible = |hit: &&str| {
        ["web", "http", "rust"]
            .iter()
            .any(|word| hit.to_lowercase().contains(word))
    };
    ensure!(hits.iter().filter(|hit| sensible(hit)).count() == 3, "{hits:?}");
    ensure!(ground.took < LIMIT, "the demo took {:?}", ground.took);
    Ok(())
}

pub fn the_demo_agrees_on_a_policy_that_then_denies(ground: &Ground) -> Result<()> {
    let shown = &ground.shown;
    for wanted in [
        "job succeeded: 5 added of 5",
        "1   patterns/outbox.md",
        "2   adrs/0001-postgres-holds-the-truth.md",
        "of 400 tokens",
        "ann herself: SELF_APPROVAL",
        "cid: approved, 2 of 2",
        "applied: applied",
        "may tom, a TechLead, delete a memory? false, because of ",
        "tom tries: memory.delete is not allowed: policy \"legal-hold\" (",
        "still there: The customer asked for a refund.",
        "valid: true, ",
        "checkpoints outside of the database: checked, ",
    ] {
        ensure!(shown.contains(wanted), "the demo does not say {wanted:?}");
    }
    Ok(())
}
