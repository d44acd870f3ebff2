//! The OpenAPI document, and what the process needs to be ready.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::service::{Service, of_acme};

/// `make gen` writes it anew.
#[tokio::test]
async fn the_document_that_is_served_is_the_one_in_the_repository() -> Result<()> {
    let service = Service::start().await?;
    let served = service.get(of_acme("ann", "Viewer"), "/api/v1/openapi.json").await?;
    let kept: Value = serde_json::from_str(include_str!("../../../../../services/governance/openapi.json"))?;
    ensure!(
        served.body == kept,
        "services/governance/openapi.json is out of date: make gen"
    );
    Ok(())
}

#[tokio::test]
async fn it_is_ready_on_its_own_schema() -> Result<()> {
    let service = Service::start().await?;
    service.get(of_acme("ann", "Viewer"), "/ready").await?.expect(200)
}

/// Whoever adds an endpoint without a decision before it fails here.
#[tokio::test]
async fn every_endpoint_refuses_a_caller_without_roles_and_tells_the_log() -> Result<()> {
    let service = Service::start().await?;
    let document: Value = serde_json::from_str(include_str!("../../../../../services/governance/openapi.json"))?;
    let mut refused = 0;
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        let path = path.replace("{id}", "018f0000-0000-7000-8000-000000000000");
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let method: reqwest::Method = method.to_uppercase().parse()?;
            let mut request = service.request(method.clone(), &path, of_acme("nobody", ""));
            if operation.get("requestBody").is_some() {
                request = request.json(&super::bodies::valid(&path));
            }
            let answer = crate::api::service::send(request.header("If-Match", "\"1\"")).await?;
            answer
                .expect_problem(403, "FORBIDDEN")
                .map_err(|error| error.context(format!("{method} {path}")))?;
            refused += 1;
        }
    }
    let denied = service.events("outcome=deny&actor=nobody&limit=1000").await?;
    ensure!(
        denied.len() == refused,
        "{} of {refused} refusals are told",
        denied.len()
    );
    Ok(())
}
