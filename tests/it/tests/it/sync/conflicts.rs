//! What people do in the target while a sync goes on: it is theirs.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sync_service::worker::{Point, drive};

use super::jobs::to_knowledge;
use super::kills::crash_at;
use super::peer::Fault;
use super::service::{Sync, expect_job};
use crate::api::service::send;
use crate::ground::Ground;
use crate::knowledge::service::{ADMIN, Service as Knowledge};

async fn rejects(sync: &Sync) -> Result<Vec<(String, String)>> {
    let select = "select external_id, code from sync.rejects order by external_id collate \"C\"";
    Ok(sqlx::query_as(select).fetch_all(&sync.memory.ground.root).await?)
}

fn conflicts(names: &[&str]) -> Vec<(String, String)> {
    let conflict = |name: &&str| ((*name).to_owned(), "KNOWLEDGE_CONFLICT".to_owned());
    names.iter().map(conflict).collect()
}

#[tokio::test]
async fn what_a_person_changed_is_neither_overwritten_nor_deleted() -> Result<()> {
    let sync = Sync::start().await?;
    for name in ["a", "b", "c", "d", "e", "f"] {
        sync.write("acme", &format!("{name}.md"), name)?;
    }
    let body = to_knowledge("");
    expect_job(&sync.run_job("acme", &body).await?, "succeeded", &json!({"added": 6}))?;
    sync.knowledge.edit("acme", "a.md", "a, by hand")?;
    sync.knowledge.edit("acme", "b.md", "b, by hand")?;
    sync.write("acme", "a.md", "a, second edition")?;
    sync.remove("acme", "b.md")?;
    sync.write("acme", "c.md", "c, second edition")?;
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "partial", &json!({"updated": 1, "deleted": 0, "rejected": 2}))?;
    let content = |path: &str| {
        sync.knowledge
            .item("acme", path)
            .map(|item| item.body["content"].clone())
    };
    ensure!(content("a.md") == Some(json!("a, by hand")) && content("b.md") == Some(json!("b, by hand")));
    ensure!(content("c.md") == Some(json!("c, second edition")));
    ensure!(rejects(&sync).await? == conflicts(&["a.md", "b.md"]));
    let author = sync.knowledge.item("acme", "a.md").context("it is there")?.author;
    ensure!(author.starts_with("sync/"), "the author tells nothing: {author}");
    Ok(())
}

#[tokio::test]
async fn the_real_knowledge_service_keeps_what_a_person_changed_and_takes_the_item_again_when_that_is_deleted()
-> Result<()> {
    let knowledge = Knowledge::start().await?;
    let sync = Sync::on_knowledge(Ground::new().await?, &knowledge.url, &["--auth-mode", "disabled"]).await?;
    for name in ["a", "b", "c", "d", "e", "f"] {
        sync.write("acme", &format!("{name}.md"), format!("# {name}\n\nFirst."))?;
    }
    let mut body = to_knowledge("");
    body["target"]["kind"] = json!("note");
    expect_job(&sync.run_job("acme", &body).await?, "succeeded", &json!({"added": 6}))?;
    let by_hand = |method: Method, path: &str| {
        reqwest::Client::new()
            .request(method, format!("{}/api/v1/knowledge/{path}", knowledge.url))
            .header("X-Tenant-ID", "acme")
            .header("X-Subject", "ann")
            .header("X-Roles", "TenantAdmin")
            .header("If-Match", "*")
    };
    for name in ["a.md", "b.md"] {
        let change = json!({"content": "# By hand\n\nMine.", "kind": "note", "layer": "team"});
        send(by_hand(Method::PUT, name).json(&change)).await?.expect(200)?;
    }
    sync.write("acme", "a.md", "# a\n\nSecond.")?;
    sync.remove("acme", "b.md")?;
    sync.write("acme", "c.md", "# c\n\nSecond.")?;
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "partial", &json!({"updated": 1, "deleted": 0, "rejected": 2}))?;
    ensure!(rejects(&sync).await? == conflicts(&["a.md", "b.md"]));
    let content = async |path: &str| -> Result<Value> {
        let item = knowledge.get(ADMIN, &format!("/knowledge/{path}")).await?;
        Ok(item.body["content"].clone())
    };
    for name in ["a.md", "b.md"] {
        let found = content(name).await?;
        ensure!(
            found.as_str().is_some_and(|text| text.contains("Mine.")),
            "{name}: {found}"
        );
    }
    ensure!(
        content("c.md")
            .await?
            .as_str()
            .is_some_and(|text| text.contains("Second."))
    );

    // Whoever gives the path back gets the source's text.
    for name in ["a.md", "b.md"] {
        send(by_hand(Method::DELETE, name)).await?;
    }
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "succeeded", &json!({"updated": 1, "deleted": 1}))?;
    ensure!(
        content("a.md")
            .await?
            .as_str()
            .is_some_and(|text| text.contains("Second."))
    );
    Ok(())
}

#[tokio::test]
async fn what_a_crash_kept_from_being_written_down_is_still_the_connections_own() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "first")?;
    sync.start_job("acme", &to_knowledge("")).await?.expect(202)?;
    drive(&sync.context(), sync.claim().await?).await;
    sync.write("acme", "a.md", "second")?;
    let id = sync.start_job("acme", &to_knowledge("")).await?.id()?;
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::BatchDelivered, 0).await?);
    sync.write("acme", "a.md", "third")?;
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    expect_job(&sync.end_of("acme", id).await?, "succeeded", &json!({"updated": 1}))?;
    let item = sync.knowledge.item("acme", "a.md").context("it is there")?;
    ensure!(item.version == 3 && item.body["content"] == "third", "{item:?}");
    Ok(())
}

fn forbidden(code: &str) -> Fault {
    Fault {
        status: 403,
        retry_after: None,
        body: json!({"code": code, "detail": "not yours"}),
    }
}

#[tokio::test]
async fn an_item_that_may_not_be_written_is_a_reject_and_the_others_are_delivered() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..40 {
        sync.write("acme", &format!("{n:02}.md"), format!("page {n}"))?;
    }
    sync.knowledge.fail([forbidden("FORBIDDEN")]);
    let job = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&job, "partial", &json!({"added": 39, "rejected": 1}))?;
    let found = rejects(&sync).await?;
    ensure!(found.len() == 1 && found[0].1 == "FORBIDDEN", "{found:?}");
    let again = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&again, "succeeded", &json!({"added": 1, "unchanged": 39}))
}

#[tokio::test]
async fn a_job_that_may_write_nothing_or_whose_tenant_is_locked_is_stopped() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..40 {
        sync.write("acme", &format!("{n:02}.md"), format!("page {n}"))?;
    }
    sync.knowledge.fail((0..32).map(|_| forbidden("FORBIDDEN")));
    let job = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&job, "failed", &json!({"added": 0, "rejected": 32}))?;
    let error = &job.body["error"];
    ensure!(
        error["class"] == "auth" && error["code"] == "TARGET_REFUSED",
        "{}",
        job.text
    );
    sync.knowledge.fail([forbidden("TENANT_SUSPENDED")]);
    let job = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&job, "failed", &json!({"rejected": 0}))?;
    ensure!(job.body["error"]["code"] == "TARGET_REFUSED", "{}", job.text);
    Ok(())
}
