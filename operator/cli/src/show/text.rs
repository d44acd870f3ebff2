//! Answers as text.

use std::io::{Result, Write};

use aeterna_crds::v1alpha1::{
    ConditionType, MoveStatus, TenantShard, TenantShardStatus, VerificationStatus, find_condition,
};

/// Writes a table of tenants.
///
/// # Errors
/// When the output is closed.
pub fn write_table(out: &mut impl Write, tenants: &[TenantShard]) -> Result<()> {
    let mut rows = vec![["TENANT", "SHARD", "READY", "STEP", "COPIED"].map(str::to_owned)];
    for object in tenants {
        let status = object.status.clone().unwrap_or_default();
        let moving = status.moving.clone().unwrap_or_default();
        let copied = if moving.step.is_empty() {
            String::new()
        } else {
            format!("{}/{}", moving.copied, moving.total)
        };
        let shard = status
            .placement
            .as_ref()
            .map_or("-".to_owned(), |placement| placement.shard.clone());
        rows.push([
            object.spec.tenant_id.clone(),
            shard,
            ready(&status),
            moving.step,
            copied,
        ]);
    }
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn ready(status: &TenantShardStatus) -> String {
    find_condition(&status.conditions, ConditionType::Ready).map_or("Unknown".to_owned(), |ready| {
        format!("{} ({})", ready.status, ready.reason)
    })
}

/// Writes all there is to tell about a tenant.
///
/// # Errors
/// When the output is closed.
pub fn write_tenant(out: &mut impl Write, object: &TenantShard) -> Result<()> {
    let status = object.status.clone().unwrap_or_default();
    writeln!(out, "tenant      {}", object.spec.tenant_id)?;
    if let Some(placement) = &status.placement {
        let (shard, collection) = (&placement.shard, &placement.collection);
        writeln!(
            out,
            "placement   {shard}, collection {collection}, generation {}",
            placement.generation
        )?;
    }
    if let Some(ready) = find_condition(&status.conditions, ConditionType::Ready) {
        writeln!(
            out,
            "ready       {} ({}): {}",
            ready.status, ready.reason, ready.message
        )?;
    }
    if let Some(moving) = &status.moving {
        write_move(out, moving)?;
    }
    if let Some(answer) = &status.verification {
        write_answer(out, answer)?;
    }
    for past in &status.last_moves {
        let at = past.finished_at.map_or_else(String::new, |at| format!(" at {at}"));
        writeln!(
            out,
            "last move   {} -> {}: {}{at}, {} copied",
            past.source, past.target, past.result, past.copied
        )?;
    }
    Ok(())
}

fn write_move(out: &mut impl Write, moving: &MoveStatus) -> Result<()> {
    writeln!(
        out,
        "move        {} -> {}, step {} {}",
        moving.source, moving.target, moving.progress, moving.step
    )?;
    writeln!(
        out,
        "            copied {} of {}, caught up {}, lag {}, compared {}, repaired {}, attempt {}",
        moving.copied, moving.total, moving.caught_up, moving.lag, moving.compared, moving.repaired, moving.attempt
    )?;
    if let (Some(rate), Some(left)) = (moving.rate_per_second, moving.eta_seconds) {
        writeln!(out, "            {rate} memories/s, {left} s left")?;
    }
    if let Some(pause) = moving.write_pause_microseconds {
        writeln!(
            out,
            "            writes waited {} ms at the switch",
            pause.div_euclid(1_000)
        )?;
    }
    if let Some(what) = &moving.waiting_for {
        writeln!(out, "            waiting for {what}")?;
    }
    if let (Some(until), Some(what)) = (moving.source_kept_until, &moving.will_delete) {
        writeln!(out, "            after {until} {what} will be deleted")?;
    }
    if let Some(error) = &moving.error {
        writeln!(out, "            last error: {error}")?;
    }
    Ok(())
}

/// Writes the answer to a verification.
///
/// # Errors
/// When the output is closed.
pub fn write_answer(out: &mut impl Write, answer: &VerificationStatus) -> Result<()> {
    let VerificationStatus {
        request_id: _,
        finished_at,
        compared,
        missing,
        stale,
        orphaned,
        foreign,
        repaired,
        error,
    } = answer;
    let at = finished_at.map_or("not finished".to_owned(), |at| format!("at {at}"));
    writeln!(
        out,
        "verified    {at}: compared {compared}, missing {missing}, stale {stale}, orphaned {orphaned}, foreign {foreign}, \
         repaired {repaired}"
    )?;
    if let Some(error) = error {
        writeln!(out, "            failed: {error}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_aligned_and_a_tenant_that_was_never_seen_is_unknown() {
        let object: TenantShard = serde_json::from_value(json!({
            "apiVersion": "aeterna.dev/v1alpha1", "kind": "TenantShard", "metadata": {"name": "a"},
            "spec": {"tenantId": "acme"}}))
        .expect("valid");
        let mut out = Vec::new();
        write_table(&mut out, &[object]).expect("a vector takes all");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "TENANT  SHARD  READY    STEP  COPIED\nacme    -      Unknown\n");
    }
}
