//! Copy: fills the target with the live rows, page by page in the order of points.

use aeterna_projection::store::Stamp;
use aeterna_projection::truth;
use aeterna_tenancy::cleanups::REQUEST_DEADLINE;
use aeterna_tenancy::moves::Step;
use aeterna_tenancy::moves::step::Observation;

use crate::Result;
use crate::drive::{Context, Driven, Pace};
use crate::probe::Point;

/// Rows of a page: some 2 MB with their vectors, a tenth of a second in a store.
const PAGE: i64 = 1_000;

/// Copies until no row lies behind the cursor; saves the cursor after each acknowledged page.
///
/// # Errors
/// Whatever the truth or the store answers; the saved cursor is never ahead of an acknowledged page.
pub async fn copy(context: &Context, driven: &mut Driven) -> Result<(Observation, Pace)> {
    if driven.moving.progress.watermark.is_none() {
        begin(context, driven).await?;
    }
    let tenant = driven.tenant().as_str().to_owned();
    let mut page = read(context, driven, &tenant).await?;
    while let Some(last) = page.last().map(|row| row.point_id) {
        let stamp = Stamp {
            tenant: driven.scope.tenant(),
            generation: driven.moving.generation,
        };
        let rows = i64::try_from(page.len()).unwrap_or(i64::MAX);
        // The next page is read while the store works on this one.
        let after = truth::Page {
            tenant: &tenant,
            after: Some(last),
            limit: PAGE,
        };
        let (applied, following) = tokio::join!(
            driven
                .store
                .upsert(&driven.target.collection, stamp, &page, REQUEST_DEADLINE),
            truth::read_page(&context.pool, &driven.scope, after),
        );
        applied?;
        context.probe.reach(Point::PageApplied).await;
        driven.moving.progress.cursor = Some(last);
        driven.moving.progress.copied += rows;
        driven.save(context, Step::Copy).await?;
        page = following?;
    }
    Ok((Observation::Copied { at_end: true }, Pace::On))
}

/// Saves the watermark before the first page: whatever changes from here on is CatchUp's.
async fn begin(context: &Context, driven: &mut Driven) -> Result<()> {
    truth::analyze_if_grown(&context.pool).await?;
    let (watermark, live) = truth::fetch_start(&context.pool, &driven.scope).await?;
    let progress = &mut driven.moving.progress;
    progress.watermark = Some(watermark);
    progress.total = live;
    progress.waiting_for = None;
    driven.save(context, Step::Copy).await
}

async fn read(context: &Context, driven: &Driven, tenant: &str) -> Result<Vec<truth::Row>> {
    let page = truth::Page {
        tenant,
        after: driven.moving.progress.cursor,
        limit: PAGE,
    };
    Ok(truth::read_page(&context.pool, &driven.scope, page).await?)
}
