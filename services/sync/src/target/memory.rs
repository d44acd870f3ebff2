//! Items as memories.
//!
//! A memory cannot be changed: another text is another memory, and the one before is deleted after it.

use serde_json::json;

use super::answer::{self, Refused};
use super::{Delivery, For, Services, base};
use crate::connection::MemoryTarget;

pub(super) async fn put(
    services: &Services,
    settings: &MemoryTarget,
    whose: For<'_>,
    delivery: Delivery<'_>,
) -> Result<(), Refused> {
    let base = base(services.memory.as_ref(), "MEMORY_SERVICE_URL").map_err(Refused::Run)?;
    let url = format!("{base}/api/v1/memories");
    let body = json!({
        "id": delivery.id,
        "content": delivery.text,
        "layer": settings.layer,
        "identifiers": settings.identifiers,
        "tags": settings.tags,
        "metadata": {"source": {
            "type": whose.origin, "reference": delivery.external_id, "connectionId": whose.connection,
        }},
    });
    answer::of_put(services.ask(services.http.post(url).json(&body), whose).await?).await
}

pub(super) async fn remove(services: &Services, whose: For<'_>, id: &str) -> Result<(), Refused> {
    let base = base(services.memory.as_ref(), "MEMORY_SERVICE_URL").map_err(Refused::Run)?;
    let request = services.http.delete(format!("{base}/api/v1/memories/{id}"));
    answer::of_remove(services.ask(request, whose).await?).await
}
