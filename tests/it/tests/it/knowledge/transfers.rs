//! Archives at their limits: long ones, slow ones, and those that tell of what is elsewhere.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::archives::{ADR, DEVELOPER, TAR, archive, export, faults, import};
use super::service::{ADMIN, As, Service};

#[tokio::test]
async fn an_export_that_cannot_be_read_to_its_end_breaks_off() -> Result<()> {
    let service = Service::start().await?;
    // Two pages; the first has 25 MB, more than is on its way to a reader who has stopped.
    let text = format!("---\nkind: note\nlayer: team\n---\n{}", "words ".repeat(42_000));
    let names: Vec<String> = (0..60).map(|n| format!("{n:03}.md")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text.as_str())).collect();
    for folder in ["folder=a", "folder=b"] {
        import(&service, ADMIN, folder, archive(&files)?).await?.expect(200)?;
    }
    let request = service.request(ADMIN, Method::GET, "/knowledge/").header("Accept", TAR);
    let mut answer = request.send().await?.error_for_status()?;
    ensure!(answer.chunk().await?.is_some(), "nothing came");
    service.state.pool.close().await;
    let mut rest = Ok(());
    while rest.is_ok() {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => rest = Err(error),
        }
    }
    ensure!(rest.is_err(), "half an archive came as a whole one");
    Ok(())
}

#[tokio::test]
async fn an_archive_of_many_files_is_stored_and_known_again() -> Result<()> {
    let service = Service::start().await?;
    let names: Vec<String> = (0..500).map(|n| format!("n/{n}.md")).collect();
    let text = format!("---\nkind: note\nlayer: team\n---\n{}", "See [[n/7]]. ".repeat(50));
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text.as_str())).collect();
    let much = archive(&files)?;
    let taken = import(&service, ADMIN, "", much.clone()).await?;
    taken.expect(200)?;
    ensure!(taken.body["created"] == 500, "{}", taken.body["created"]);
    let again = import(&service, ADMIN, "", much).await?;
    ensure!(again.body["unchanged"] == 500, "{}", again.body["unchanged"]);
    Ok(())
}

#[tokio::test]
async fn what_stayed_behind_of_a_succession_is_history_elsewhere() -> Result<()> {
    let service = Service::start().await?;
    let adr = |front: &str| format!("---\nkind: adr\nlayer: company\nstatus: {front}\n---\n{ADR}");
    let (first, last) = (adr("superseded"), adr("accepted\nsupersedes: gone.md"));
    let some = || archive(&[("first.md", first.as_str()), ("last.md", last.as_str())]);
    let taken = import(&service, ADMIN, "", some()?).await?;
    taken.expect(200)?;
    ensure!(
        taken.body["items"][0] == json!({"path": "first.md", "outcome": "created", "version": 2}),
        "{}",
        taken.text
    );
    let superseded = service.get(ADMIN, "/knowledge/first.md").await?;
    ensure!(
        superseded.body["status"] == "superseded" && superseded.body["supersededBy"].is_null(),
        "{}",
        superseded.text
    );
    let again = import(&service, ADMIN, "", some()?).await?;
    ensure!(again.body["unchanged"] == 2, "{}", again.text);
    // What is in force here is superseded by what takes its place here, and by nothing else.
    let held = json!({"path": "held.md", "content": ADR, "kind": "adr", "layer": "company", "status": "accepted"});
    service.post(ADMIN, "/knowledge", &held).await?.expect(201)?;
    let ended = archive(&[("held.md", first.as_str())])?;
    let refused = import(&service, ADMIN, "existing=replace", ended).await?;
    refused.expect_problem(409, "IMPORT_REFUSED")?;
    ensure!(
        faults(&refused)["held.md"].contains("takes its place"),
        "{}",
        refused.text
    );
    // Who may not edit brings no history.
    let refused = import(
        &service,
        DEVELOPER,
        "folder=x",
        archive(&[("first.md", first.as_str())])?,
    )
    .await?;
    refused.expect_problem(409, "IMPORT_REFUSED")
}

#[tokio::test]
async fn an_item_of_every_length_that_is_taken_goes_out_and_comes_in() -> Result<()> {
    let service = Service::start().await?;
    let tags: Vec<String> = (0..64).map(|n| format!("{n:0>128}")).collect();
    let body = json!({
        "path": "a.md", "content": "x".repeat(256 * 1024 - 1), "kind": "note", "layer": "team", "tags": tags,
        "summary": "s".repeat(2048), "metadata": {"k": "m".repeat(16_000)},
    });
    service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    let out = export(&service, ADMIN, "").await?;
    let globex = As("globex", "gil", "TenantAdmin");
    let taken = import(&service, globex, "", out.clone()).await?;
    ensure!(taken.body["created"] == 1, "{}", taken.text);
    ensure!(export(&service, globex, "").await?.len() == out.len(), "it changed");
    Ok(())
}
