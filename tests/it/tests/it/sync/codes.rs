//! The codes of failed jobs: those of the documents are those of the code, and some that only a strange neighbour brings.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::feed_faults::{expect_error, try_once};
use super::jobs::to_knowledge;
use super::peer::Fault;
use super::repository::repository;
use super::service::Sync;
use super::web::{Web, response};
use crate::ground::Ground;

type Codes = BTreeSet<(String, String)>;

/// The classes as the code and as the documents write them.
const CLASSES: [(&str, &str); 6] = [
    ("Config", "config"),
    ("Auth", "auth"),
    ("Transient", "transient"),
    ("RateLimited", "rate_limited"),
    ("Data", "data"),
    ("Internal", "internal"),
];

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_uppercase() || char == '_')
}

/// Finds each `Class::X, "CODE"` below a directory of sources.
fn find_codes(directory: &Path, found: &mut Codes) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find_codes(&path, found)?;
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for after in text.split("Class::").skip(1) {
            let Some((class, rest)) = after.split_once(',') else {
                continue;
            };
            let Some((_, shown)) = CLASSES.iter().find(|(name, _)| *name == class) else {
                continue;
            };
            let code = rest
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split_once('"'));
            if let Some((code, _)) = code.filter(|(code, _)| is_code(code)) {
                found.insert(((*shown).to_owned(), code.to_owned()));
            }
        }
    }
    Ok(())
}

#[test]
fn the_codes_of_the_documents_are_those_of_the_code() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut made = Codes::new();
    find_codes(&root.join("services/sync/src"), &mut made)?;
    let text = std::fs::read_to_string(root.join("docs/sync.md"))?;
    let (_, table) = text.split_once("## Errors of a job").context("there is a table")?;
    let mut told = Codes::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let class = row.split('`').nth(1).context("a class")?;
        let codes = row.split('`').filter(|word| is_code(word));
        told.extend(codes.map(|code| (class.to_owned(), code.to_owned())));
    }
    let untold: Vec<_> = made.difference(&told).collect();
    let unmade: Vec<_> = told.difference(&made).collect();
    ensure!(
        untold.is_empty() && unmade.is_empty(),
        "not told: {untold:?}; not made: {unmade:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_none_stops_the_job_for_somebody_to_look() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    for (status, code) in [(404, "TARGET_NOT_FOUND"), (302, "TARGET_REDIRECTS")] {
        sync.knowledge.fail([Fault {
            status,
            retry_after: None,
            body: Value::Null,
        }]);
        expect_error(&try_once(&sync, &to_knowledge("")).await?, "config", code)?;
    }
    let somebody = Web::start(|_| response(200, &[], "hello")).await?;
    let options = ["--auth-mode", "disabled", "--sync-jobs-at-once", "0"];
    let sync = Sync::on_knowledge(Ground::new().await?, &somebody.url(""), &options).await?;
    sync.write("acme", "a.md", "text")?;
    expect_error(&try_once(&sync, &to_knowledge("")).await?, "config", "TARGET_STRANGE")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_calls_itself_a_repository_and_is_none_stops_the_job() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let kind = ("content-type", "application/x-git-upload-pack-advertisement");
    let web = Web::start(move |_| response(200, &[kind], "001e# service=git-upload-pack\n0000zzzz")).await?;
    let job = try_once(&sync, &repository(&web.url("/x.git"), "")).await?;
    expect_error(&job, "data", "REPOSITORY_UNREADABLE")?;
    ensure!(job.body["status"] == json!("failed"), "{}", job.text);
    Ok(())
}
