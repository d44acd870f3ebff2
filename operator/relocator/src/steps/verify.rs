//! Verify: compares truth and target both ways, and repairs what is older than the watermark.

use aeterna_kit::clock;
use aeterna_tenancy::moves::Step;
use aeterna_tenancy::moves::step::{Observation, is_fresh};

use crate::Result;
use crate::compare::{Comparison, Newer, compare_page};
use crate::drive::{Context, Driven, Pace};

/// Makes one pass, unless the last clean one still counts: after a cutover that did not fit, only the delta is new.
///
/// # Errors
/// Whatever the truth or the store answers, and [`crate::Error::Unrepairable`].
pub async fn verify(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    let verified_at = driven.moving.progress.verified_at;
    if verified_at.is_some_and(|at| is_fresh(at, clock::now())) {
        return Ok((Observation::Verified { repaired: 0 }, Pace::On));
    }
    let since = driven.watermark()?;
    let (store, scope, shard) = (driven.store.clone(), driven.scope.clone(), driven.target.clone());
    let comparison = Comparison {
        pool: &context.pool,
        store: &store,
        scope: &scope,
        shard: &shard,
        floor: driven.moving.generation,
        generation: driven.moving.generation,
        newer: Newer::Since(&since),
    };
    let mut findings = aeterna_tenancy::verifications::Findings::default();
    let mut after = None;
    loop {
        after = compare_page(&comparison, after, &mut findings).await?;
        driven.moving.progress.compared = findings.compared;
        driven.save(context, Step::Verify).await?;
        if after.is_none() {
            break;
        }
    }
    let progress = &mut driven.moving.progress;
    progress.repaired += findings.repaired;
    if findings.repaired == 0 {
        progress.verified_at = Some(clock::now());
    }
    Ok((
        Observation::Verified {
            repaired: u64::try_from(findings.repaired).unwrap_or_default(),
        },
        Pace::On,
    ))
}
