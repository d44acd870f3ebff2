//! Whatever another tenant asks with the owner's ids, it hears nothing of the owner's and changes nothing.

use anyhow::{Result, ensure};

use super::owner::{self, PATH, SECRET, Subject};
use crate::api::service::Service as Memory;
use crate::governance::service::Service as Governance;
use crate::knowledge::service::Service as Knowledge;
use crate::sync::service::Sync;

const ROLES: [&str; 4] = ["PlatformAdmin", "TechLead", "Agent", ""];

async fn expect_silence(subject: &Subject) -> Result<()> {
    let owner = ("acme", "ann", "TenantAdmin");
    let before = subject.digest("acme").await?;
    let (mut asked, mut said) = (0, String::new());
    for id in &subject.ids {
        for request in subject.requests(id) {
            said.push_str(&request.text());
            for roles in ROLES {
                let answer = subject.send(("globex", "eve", roles), &request).await?;
                let shown = format!(
                    "{} {} {} as {roles:?}: {} {}",
                    subject.name,
                    request.method,
                    request.text(),
                    answer.status,
                    answer.text
                );
                ensure!(answer.status < 500, "{shown}");
                ensure!(!answer.text.contains(SECRET), "{shown}");
                // An id that was asked with may be repeated, also in the stranger's own log; another may not be told.
                let told = |id: &String| !said.contains(id) && answer.text.contains(id);
                ensure!(!subject.ids.iter().any(told), "{shown}");
                asked += 1;
            }
        }
    }
    ensure!(
        asked >= 4 * subject.requests(PATH).len(),
        "{} was asked {asked} times",
        subject.name
    );
    ensure!(
        subject.digest("acme").await? == before,
        "{}: a stranger has changed something",
        subject.name
    );
    // The same requests tell the owner something, or all of this says nothing.
    let mut heard = 0;
    for id in &subject.ids {
        for request in subject
            .requests(id)
            .iter()
            .filter(|request| request.method == reqwest::Method::GET)
        {
            let answer = subject.send(owner, request).await?;
            heard += usize::from(answer.status == 200 && answer.text.contains(SECRET));
        }
    }
    ensure!(heard >= 1, "{}: the owner hears {heard} answers", subject.name);
    Ok(())
}

#[tokio::test]
async fn memory_tells_strangers_nothing_on_any_route() -> Result<()> {
    let service = Memory::start().await?;
    expect_silence(&owner::memory(&service).await?).await
}

#[tokio::test]
async fn knowledge_tells_strangers_nothing_on_any_route() -> Result<()> {
    let service = Knowledge::start().await?;
    expect_silence(&owner::knowledge(&service).await?).await
}

#[tokio::test]
async fn governance_tells_strangers_nothing_on_any_route() -> Result<()> {
    let service = Governance::start().await?;
    expect_silence(&owner::governance(&service).await?).await
}

#[tokio::test]
async fn sync_tells_strangers_nothing_on_any_route() -> Result<()> {
    let service = Sync::start().await?;
    expect_silence(&owner::sync(&service).await?).await
}
