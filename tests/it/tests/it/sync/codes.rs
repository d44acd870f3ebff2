//! The codes of failed jobs: those of the documents are those of the code, and some that only a strange neighbour brings.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sync_service::source::Places;
use sync_service::state::State;
use sync_service::worker::drive;

use super::feed_faults::{expect_error, try_once};
use super::jobs::to_knowledge;
use super::peer::Fault;
use super::repository::repository;
use super::service::{Sync, directory};
use super::web::{Web, response};
use crate::api::service::Answer;
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

/// Starts a job and drives it once in an instance, after something was spoiled in the database; returns the job then.
async fn spoil(sync: &Sync, state: &State, body: &Value, sql: &'static str) -> Result<Answer> {
    let id = sync.start_job("acme", body).await?.id()?;
    sqlx::raw_sql(sql).execute(&sync.memory.ground.root).await?;
    drive(&state.context(), sync.claim().await?).await;
    sync.get("acme", &format!("/api/v1/sync/status/{id}")).await
}

#[tokio::test]
async fn each_fault_of_ours_has_its_class_and_its_code() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    sync.write("acme", "here/b.md", "text")?;
    // A directory whose path is longer than any may be, which can only be put together.
    let half = ["0".repeat(200).as_str(); 12].join("/");
    let upper = sync.file("acme", &format!("deep/{half}/x"))?;
    sync.file("acme", &format!("lower/{half}/x"))?;
    std::fs::rename(sync.file("acme", "lower")?, upper)?;
    // Copies of repositories where a file is.
    let mut copyless = sync.state.clone();
    copyless.places = Arc::new(Places {
        git_directory: sync.file("acme", "a.md")?,
        ..Places::clone(&copyless.places)
    });
    let git = repository("http://127.0.0.1:9/x.git", "");
    let (here, there) = (directory("here"), directory("deep"));
    let cases = [
        (&sync.state, &there, "", "config", "SOURCE_UNREADABLE"),
        (&copyless, &git, "", "transient", "SOURCE_FAILED"),
        (
            &sync.state,
            &here,
            r#"update sync.jobs set cursor = '{"phase": "fly"}'"#,
            "internal",
            "CURSOR_FOREIGN",
        ),
        (
            &sync.state,
            &here,
            r#"update sync.jobs set cursor = '{"phase": "read", "position": 7}'"#,
            "internal",
            "CURSOR_FOREIGN",
        ),
        (
            &sync.state,
            &here,
            "alter table sync.items rename to items_away",
            "transient",
            "DATABASE_AWAY",
        ),
        (
            &sync.state,
            &here,
            "alter table sync.items_away rename to items;
             set session_replication_role = replica; delete from sync.connections; set session_replication_role = origin",
            "internal",
            "CONNECTION_LOST",
        ),
    ];
    for (state, body, sql, class, code) in cases {
        let job = spoil(&sync, state, body, sql).await?;
        let error = &job.body["error"];
        ensure!(
            error["class"] == class && error["code"] == code,
            "not {class} {code}: {}",
            job.text
        );
        let is_left = job.body["status"] == "queued";
        ensure!(is_left == (class != "config"), "{}", job.text);
        sqlx::query("update sync.jobs set status = 'failed', finished_at = now()")
            .execute(&sync.memory.ground.root)
            .await?;
    }
    Ok(())
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
