//! `PUT /api/v1/sync/schedules/{connectionId}`: sets the schedule of a connection.

use axum::Json as Reply;
use axum::extract::State as Shared;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use crate::access::{require_deleter, require_starter, roles_of};
use crate::job::{Limits, Mode, Options};
use crate::routes::connections::{admit, no_connection};
use crate::schedule::{Times, Unfit, utc};
use crate::state::State;
use crate::store::{self, NewSchedule, Schedule};

/// When, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ScheduleRequest)]
pub struct Request {
    /// A cron expression of five fields: minute, hour, day of the month, month, day of the week. `0 3 * * MON-FRI`.
    pub cron: String,
    /// The time zone that it is read in: `Europe/Berlin`. UTC unless said.
    #[serde(default = "utc")]
    pub timezone: String,
    /// How much of the source its jobs look at.
    #[serde(default)]
    pub mode: Mode,
    /// What each run may take; beyond, it stops.
    #[serde(default)]
    pub limits: Limits,
    /// More than a fifth of the items may vanish, in each run.
    #[serde(default)]
    pub allow_mass_delete: bool,
    /// Starts nothing until it is set again without this.
    #[serde(default)]
    pub paused: bool,
}

/// Sets the schedule of a connection. Its jobs carry the roles that the caller has now. Times that pass while no instance
/// is there are one run; a time at which the connection has an active job is skipped.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    put, path = "/api/v1/sync/schedules/{connectionId}", tag = "schedules", request_body = Request,
    params(("connectionId" = Uuid, Path, description = "The connection")),
    responses(
        (status = 200, description = "Set", body = Schedule),
        (status = 400, description = "The request names no tenant, or is not JSON"),
        (status = 403, description = "The caller's roles do not allow this"),
        (status = 404, description = "The tenant has no such connection"),
        (status = 422, description = "A field does not fit"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn put(
    caller: Caller,
    judge: Judge,
    Shared(state): Shared<State>,
    Path(connection): Path<Uuid>,
    Json(request): Json<Request>,
) -> Result<Reply<Schedule>, Problem> {
    require_starter(&caller)?;
    if request.allow_mass_delete {
        require_deleter(&caller)?;
    }
    request.limits.check()?;
    let times = Times::parse(&request.cron, &request.timezone).map_err(|unfit| {
        let pointer = match unfit {
            Unfit::Cron(_) => "/cron",
            Unfit::Timezone(_) => "/timezone",
        };
        Problem::field(Code::InvalidBody, pointer, unfit.to_string())
    })?;
    admit(&state, &caller, &judge, (connection, action::SYNC_START)).await?;
    let options = Options {
        allow_mass_delete: request.allow_mass_delete,
        limits: request.limits,
        ..Options::default()
    };
    let new = NewSchedule {
        connection,
        cron: &request.cron,
        timezone: &request.timezone,
        mode: request.mode,
        options: &options,
        next_run_at: times.after(clock::now()).filter(|_| !request.paused),
        created_by: &caller.subject,
        roles: &roles_of(&caller),
    };
    let schedule = store::put_schedule(&state.pool, &caller.scope, new).await?;
    schedule.map(Reply).ok_or_else(|| no_connection(connection))
}
