//! What the commands do.

use std::io::Write as _;
use std::time::Duration;

use aeterna_crds::VERIFY_ANNOTATION;
use aeterna_crds::v1alpha1::{TenantShard, VerificationStatus};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::args::{Migrate, Output, Status, Tenant, Verify};
use crate::error::Error;
use crate::exit::Exit;
use crate::find::Place;
use crate::follow::{Outcome, find_answer, is_clean, judge_placement};
use crate::show::{Display, write_answer, write_table, write_tenant};

/// Between two looks at a status.
const POLL: Duration = Duration::from_millis(500);

/// Who changes specs and annotations here.
const MANAGER: &str = "aeterna-cli";

/// Runs a command about tenants.
///
/// # Errors
/// [`Error`] says what to do.
pub async fn run(place: &Place, command: &Tenant, output: Output) -> Result<Exit, Error> {
    match command {
        Tenant::Migrate(asked) => migrate(place, asked, output).await,
        Tenant::Verify(asked) => verify(place, asked, output).await,
        Tenant::Status(asked) => status(place, asked, output).await,
    }
}

async fn migrate(place: &Place, asked: &Migrate, output: Output) -> Result<Exit, Error> {
    let object = place.find_tenant(&asked.tenant_id).await?;
    let placement = if place.is_shared_shard(&asked.to_shard).await? {
        json!({"mode": "Shared", "shared": {"shard": asked.to_shard}, "dedicated": null})
    } else {
        json!({"mode": "Dedicated", "dedicated": {"name": asked.to_shard}, "shared": null})
    };
    let body = json!({"spec": {"placement": placement}});
    let changed = patch(place, &object, "change the placement", &body).await?;
    let generation = changed.metadata.generation.unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(asked.timeout);
    let mut display = Display::new(output == Output::Text);
    let reached = loop {
        let seen = fetch(place, &object).await?;
        if let (Some(display), Some(moving)) = (&mut display, seen.status.as_ref().and_then(|s| s.moving.as_ref())) {
            display.show(moving)?;
        }
        match judge_placement(&seen, &asked.to_shard, generation) {
            Outcome::Reached => break seen,
            Outcome::Stalled { reason, message } => return Err(Error::Stalled { reason, message }),
            Outcome::Waiting => pause(deadline, asked.timeout, &asked.tenant_id).await?,
        }
    };
    if let Some(display) = &display {
        display.finish();
    }
    if !asked.verify {
        answer(output, &reached, Exit::Done, |out| write_tenant(out, &reached))?;
        return Ok(Exit::Done);
    }
    let found = request_verification(place, &object, deadline, asked.timeout).await?;
    conclude(place, &object, &found, output).await
}

async fn verify(place: &Place, asked: &Verify, output: Output) -> Result<Exit, Error> {
    let object = place.find_tenant(&asked.tenant_id).await?;
    if asked.check_all {
        let deadline = Instant::now() + Duration::from_secs(asked.timeout);
        let found = request_verification(place, &object, deadline, asked.timeout).await?;
        return conclude(place, &object, &found, output).await;
    }
    match object.status.as_ref().and_then(|status| status.verification.clone()) {
        Some(found) if found.finished_at.is_some() => conclude(place, &object, &found, output).await,
        Some(_) | None => {
            answer(output, &object, Exit::Different, |out| {
                writeln!(out, "nothing was verified yet; ask for it with --check-all")
            })?;
            Ok(Exit::Different)
        }
    }
}

/// Tells the findings, and ends accordingly.
async fn conclude(
    place: &Place,
    object: &TenantShard,
    found: &VerificationStatus,
    output: Output,
) -> Result<Exit, Error> {
    if let Some(error) = &found.error {
        return Err(Error::Verification(error.clone()));
    }
    let exit = if is_clean(found) { Exit::Done } else { Exit::Different };
    let now = fetch(place, object).await?;
    answer(output, &now, exit, |out| match &now.status {
        Some(status) if status.placement.is_some() => write_tenant(out, &now),
        Some(_) | None => write_answer(out, found),
    })?;
    Ok(exit)
}

/// Asks for a comparison, and waits for its answer.
async fn request_verification(
    place: &Place,
    object: &TenantShard,
    deadline: Instant,
    seconds: u64,
) -> Result<VerificationStatus, Error> {
    let request = Uuid::new_v4().to_string();
    let body = json!({"metadata": {"annotations": {VERIFY_ANNOTATION: request}}});
    patch(place, object, "ask for a verification", &body).await?;
    loop {
        let seen = fetch(place, object).await?;
        if let Some(found) = find_answer(&seen, &request) {
            return Ok(found.clone());
        }
        pause(deadline, seconds, &object.spec.tenant_id).await?;
    }
}

async fn status(place: &Place, asked: &Status, output: Output) -> Result<Exit, Error> {
    let Some(tenant) = &asked.tenant_id else {
        let all = place.list().await?;
        let mut out = std::io::stdout().lock();
        match output {
            Output::Text => write_table(&mut out, &all)?,
            Output::Json => {
                let documents: Vec<Value> = all.iter().map(describe).collect();
                writeln!(out, "{}", Value::Array(documents))?;
            }
        }
        return Ok(Exit::Done);
    };
    let object = place.find_tenant(tenant).await?;
    answer(output, &object, Exit::Done, |out| write_tenant(out, &object))?;
    Ok(Exit::Done)
}

fn answer(
    output: Output,
    object: &TenantShard,
    exit: Exit,
    text: impl FnOnce(&mut std::io::StdoutLock<'static>) -> std::io::Result<()>,
) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => text(&mut out)?,
        Output::Json => {
            let mut document = describe(object);
            if let Some(fields) = document.as_object_mut() {
                fields.insert("exitCode".to_owned(), json!(exit.code()));
            }
            writeln!(out, "{document}")?;
        }
    }
    Ok(())
}

fn describe(object: &TenantShard) -> Value {
    json!({"tenantId": object.spec.tenant_id, "name": object.name_any(), "status": object.status})
}

async fn patch(
    place: &Place,
    object: &TenantShard,
    operation: &'static str,
    body: &Value,
) -> Result<TenantShard, Error> {
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patched = place
        .tenants()
        .patch(&object.name_any(), &params, &Patch::Merge(body))
        .await;
    patched.map_err(|error| Error::api(operation, &place.namespace, error))
}

async fn fetch(place: &Place, object: &TenantShard) -> Result<TenantShard, Error> {
    let found = place.tenants().get(&object.name_any()).await;
    found.map_err(|error| Error::api("read the TenantShard", &place.namespace, error))
}

async fn pause(deadline: Instant, seconds: u64, tenant: &str) -> Result<(), Error> {
    if Instant::now() >= deadline {
        return Err(Error::Timeout {
            seconds,
            tenant: tenant.to_owned(),
        });
    }
    tokio::time::sleep(POLL).await;
    Ok(())
}
