//! Whatever another tenant asks with the owner's ids, it hears nothing of the owner's and changes nothing.

use anyhow::{Result, ensure};

use super::owner::{self, PATH, SECRET, Subject};
use crate::api::service::{Answer, Service as Memory};
use crate::governance::service::Service as Governance;
use crate::knowledge::service::Service as Knowledge;
use crate::sync::service::Sync;

const ROLES: [&str; 4] = ["PlatformAdmin", "TechLead", "Agent", ""];

/// All that an answer says: its headers, its body, and where its cursor goes on from.
fn hear(answer: &Answer) -> String {
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    let cursor = answer.body["nextCursor"].as_str();
    let cursor = cursor.map(|cursor| format!("\nfrom {}", decode(cursor)));
    headers.chain([answer.text.clone()]).chain(cursor).collect()
}

/// Reads base64 as URLs have it, without its padding; what is no text in it is left out.
fn decode(cursor: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits: Vec<u32> = cursor
        .bytes()
        .filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte))
        .filter_map(|digit| u32::try_from(digit).ok())
        .collect();
    let mut bytes = Vec::new();
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0, |bits, digit| (bits << 6) | digit) << (6 * (4 - four.len()));
        bytes.extend(bits.to_be_bytes().into_iter().skip(1).take(four.len() - 1));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn what_headers_say_and_what_a_cursor_hides_is_heard() {
    let list = aeterna_kit::page::List::new(&aeterna_kit::ids::TenantId::parse("acme").expect("a tenant"), "");
    for position in [SECRET.to_owned(), format!("a{SECRET}"), format!("{SECRET}/ab")] {
        let answer = Answer {
            status: 200,
            headers: reqwest::header::HeaderMap::from_iter([(
                reqwest::header::LOCATION,
                reqwest::header::HeaderValue::from_static("/api/v1/policies/7"),
            )]),
            text: "body".to_owned(),
            body: serde_json::json!({"nextCursor": list.cursor(&position)}),
        };
        let heard = hear(&answer);
        assert!(heard.contains("location: /api/v1/policies/7\nbody"), "{heard}");
        assert!(heard.ends_with(&position), "{heard}");
    }
}

async fn expect_silence(subject: &Subject) -> Result<()> {
    let owner = ("acme", "ann", "TenantAdmin");
    let before = subject.digest("acme").await?;
    let (mut asked, mut said) = (0, String::new());
    for id in &subject.ids {
        for request in subject.requests(id) {
            said.push_str(&request.text());
            for roles in ROLES {
                let answer = subject.send(("globex", "eve", roles), &request).await?;
                let heard = hear(&answer);
                let shown = format!(
                    "{} {} {} as {roles:?}: {} {heard}",
                    subject.name,
                    request.method,
                    request.text(),
                    answer.status,
                );
                ensure!(answer.status < 500, "{shown}");
                ensure!(!heard.contains(SECRET), "{shown}");
                // An id that was asked with may be repeated, also in the stranger's own log; another may not be told.
                let told = |id: &String| !said.contains(id) && heard.contains(id);
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
