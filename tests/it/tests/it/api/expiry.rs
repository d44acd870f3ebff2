//! Memories whose time is over.

use std::time::Duration;

use aeterna_kit::clock;
use anyhow::{Result, ensure};
use serde_json::json;

use super::service::{Service, found};

#[tokio::test]
async fn an_expired_memory_is_gone_at_once_and_swept_soon() -> Result<()> {
    let service = Service::start().await?;
    let body =
        json!({"content": "for a second", "layer": "session", "expiresAt": clock::now() + Duration::from_secs(1)});
    let id = service.create("acme", &body).await?.id()?;
    service.get("acme", id).await?.expect(200)?;
    service
        .ground
        .wait_until("it expires", async || Ok(service.get("acme", id).await?.status == 410))
        .await?;
    let hits = service.search("acme", &json!({"query": "for a second"})).await?;
    ensure!(found(&hits).is_empty(), "{}", hits.text);
    service
        .ground
        .wait_until("the sweeper finds it", async || {
            let live: i64 = sqlx::query_scalar("select count(*) from memory.memories where state = 'live'")
                .fetch_one(&service.ground.root)
                .await?;
            Ok(live == 0)
        })
        .await?;
    let tenant = service.ground.tenant("acme").await?;
    service.ground.assert_exact(&tenant).await
}
