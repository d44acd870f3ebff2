//! aeterna-cli as the seed's text calls it, and as scripts do.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::ground::{Ground, binaries};

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

fn aeterna(ground: &Ground, arguments: &[&str]) -> Result<Answer> {
    let mut command = ground.command(binaries()?.join("aeterna-cli"), arguments);
    let done = command.args(["-n", "aeterna"]).output()?;
    Ok(Answer {
        code: done.status.code(),
        out: String::from_utf8(done.stdout)?,
        err: String::from_utf8(done.stderr)?,
    })
}

fn expect(answer: &Answer, code: i32) -> Result<()> {
    ensure!(
        answer.code == Some(code),
        "exit {:?} instead of {code}: {}{}",
        answer.code,
        answer.out,
        answer.err
    );
    Ok(())
}

pub fn the_seeds_migration_test_ends_well(ground: &Ground) -> Result<()> {
    let load = ground.begin_load("large-corp", 50)?;
    let there = aeterna(
        ground,
        &[
            "tenant",
            "migrate",
            "--tenant-id",
            "large-corp",
            "--to-shard",
            "dedicated-1",
            "--verify",
        ],
    )?;
    println!("{}", there.out);
    expect(&there, 0)?;
    ensure!(there.out.contains("dedicated-1"), "{}", there.out);
    let verified = aeterna(
        ground,
        &["tenant", "verify", "--tenant-id", "large-corp", "--check-all"],
    )?;
    expect(&verified, 0)?;
    let back = aeterna(
        ground,
        &[
            "tenant",
            "migrate",
            "--tenant-id",
            "large-corp",
            "--to-shard",
            "shared-shard-1",
        ],
    )?;
    expect(&back, 0)?;
    ground.end_load(load)?;
    let told = aeterna(ground, &["tenant", "status"])?;
    expect(&told, 0)?;
    for tenant in ["acme", "globex", "large-corp"] {
        ensure!(told.out.contains(tenant), "{tenant} is not in {}", told.out);
    }
    Ok(())
}

pub fn exit_codes_tell_scripts_what_happened(ground: &Ground) -> Result<()> {
    expect(&aeterna(ground, &["tenant", "migrate", "--tenant-id", "acme"])?, 2)?;
    let unknown = aeterna(ground, &["tenant", "status", "--tenant-id", "nobody"])?;
    expect(&unknown, 3)?;
    ensure!(unknown.err.contains("nobody"), "{}", unknown.err);
    expect(&aeterna(ground, &["tenant", "verify", "--tenant-id", "globex"])?, 4)?;
    let refused = aeterna(
        ground,
        &[
            "tenant",
            "migrate",
            "--tenant-id",
            "globex",
            "--to-shard",
            "shared-of-nobody",
        ],
    )?;
    expect(&refused, 1)?;
    let back = aeterna(
        ground,
        &[
            "tenant",
            "migrate",
            "--tenant-id",
            "globex",
            "--to-shard",
            "shared-shard-1",
        ],
    )?;
    expect(&back, 0)
}

pub fn json_is_one_document(ground: &Ground) -> Result<()> {
    let told = aeterna(
        ground,
        &["tenant", "verify", "--tenant-id", "acme", "--check-all", "-o", "json"],
    )?;
    expect(&told, 0)?;
    let document: Value = serde_json::from_str(&told.out).context("not one JSON document")?;
    ensure!(
        document["exitCode"] == 0 && document["tenantId"] == "acme",
        "{document}"
    );
    let compared = document["status"]["verification"]["compared"].as_i64();
    ensure!(compared >= Some(400), "{compared:?} points were compared");
    Ok(())
}
