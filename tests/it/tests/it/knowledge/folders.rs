//! What lies in a folder.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::service::{ADMIN, Service};

fn paths(listing: &Value) -> Vec<&str> {
    let entries = listing["entries"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["path"].as_str()).collect()
}

#[tokio::test]
async fn a_folder_lists_each_folder_once_and_pages_without_loss() -> Result<()> {
    let service = Service::start().await?;
    for path in ["a/x.md", "a/y.md", "a-b.md", "a0.md", "b/c/d.md", "b/e.md", "ü.md"] {
        service.note(ADMIN, path, "text").await?.expect(201)?;
    }
    let all = service.get(ADMIN, "/knowledge/").await?;
    all.expect(200)?;
    ensure!(
        paths(&all.body) == ["a-b.md", "a/", "a0.md", "b/", "ü.md"],
        "{}",
        all.text
    );
    ensure!(
        all.body["entries"][0]["title"] == "a-b" && all.body["entries"][1]["title"].is_null(),
        "{}",
        all.text
    );
    let below = service.get(ADMIN, "/knowledge/b/").await?;
    ensure!(paths(&below.body) == ["b/c/", "b/e.md"], "{}", below.text);
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get(ADMIN, &format!("/knowledge/?limit=1{cursor}")).await?;
        page.expect(200)?;
        found.extend(paths(&page.body).into_iter().map(str::to_owned));
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(found == ["a-b.md", "a/", "a0.md", "b/", "ü.md"], "{found:?}");
    let empty = service.get(ADMIN, "/knowledge/nothing/").await?;
    ensure!(
        empty.status == 200 && empty.body["entries"] == json!([]),
        "{}",
        empty.text
    );
    service
        .get(ADMIN, "/knowledge/?limit=0")
        .await?
        .expect_problem(400, "INVALID_PARAMETER")?;
    service
        .get(ADMIN, "/knowledge/?cursor=AAAA")
        .await?
        .expect_problem(400, "INVALID_CURSOR")
}
