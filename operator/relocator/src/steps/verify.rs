//! Verify: compares truth and target both ways, and repairs what is older than the watermark.

use aeterna_kit::clock;
use aeterna_tenancy::moves::step::{Observation, VERIFICATION_LIFE};
use aeterna_tenancy::moves::{LEASE, Step, Xid, save};

use crate::Result;
use crate::compare::{Comparison, Newer, compare_page};
use crate::drive::{Context, Driven, Pace};

/// Makes one pass, unless the last clean one still counts: after a cutover that did not fit, only the delta is new.
///
/// # Errors
/// Whatever the truth or the store answers, and [`crate::Error::Unrepairable`].
pub async fn verify(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    let fresh = |at: jiff::Timestamp| clock::now().duration_since(at) <= VERIFICATION_LIFE;
    if driven.moving.progress.verified_at.is_some_and(fresh) {
        return Ok((Observation::Verified { repaired: 0 }, Pace::On));
    }
    let since = driven.moving.progress.watermark.unwrap_or(Xid(0));
    let comparison = Comparison {
        pool: &context.pool,
        store: &driven.store,
        scope: &driven.scope,
        shard: &driven.target,
        floor: driven.moving.generation,
        generation: driven.moving.generation,
        newer: Newer::Since(since),
    };
    let mut findings = aeterna_tenancy::verifications::Findings::default();
    let mut after = None;
    loop {
        after = compare_page(&comparison, after, &mut findings).await?;
        let mut progress = driven.moving.progress.clone();
        progress.compared = findings.compared;
        let claim = aeterna_tenancy::moves::Claim {
            move_id: driven.moving.move_id,
            attempt: driven.moving.attempt,
        };
        save(&context.pool, claim, Step::Verify, &progress, LEASE).await?;
        if after.is_none() {
            break;
        }
    }
    let progress = &mut driven.moving.progress;
    progress.compared = findings.compared;
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
