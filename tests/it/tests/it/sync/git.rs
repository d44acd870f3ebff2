//! A git repository into memories and knowledge.

use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sync_service::worker::{Point, drive};

use super::kills::crash_at;
use super::peer::Fault;
use super::repository::{Repository, repository};
use super::service::{Sync, expect_job};

async fn rejects(sync: &Sync) -> Result<Vec<(String, String)>> {
    let select = "select external_id, code from sync.rejects order by external_id collate \"C\"";
    Ok(sqlx::query_as(select).fetch_all(&sync.memory.ground.root).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_followed_from_commit_to_commit() -> Result<()> {
    let (sync, git) = (Sync::start().await?, Repository::start().await?);
    for n in 0..40 {
        git.write(&format!("docs/{n:02}.md"), format!("page {n:02}"))?;
    }
    git.write("docs/picture.png", b"\x89PNG")?;
    git.write("docs/.hidden/x.md", "nobody's business")?;
    git.write("elsewhere.md", "not below docs")?;
    git.commit().await?;
    let body = repository(git.url(), "docs");
    let first = sync.run_job("acme", &body).await?;
    expect_job(
        &first,
        "succeeded",
        &json!({"processed": 40, "added": 40, "estimate": 40}),
    )?;
    ensure!(sync.memories("acme").await?.len() == 40 && git.fetches() == 1);

    // The same commit: nothing is fetched, nothing is looked at.
    let same = sync.run_job("acme", &body).await?;
    expect_job(&same, "succeeded", &json!({"processed": 0}))?;
    ensure!(
        same.body["result"] == first.body["result"] && git.fetches() == 1,
        "{}",
        same.text
    );

    git.write("docs/00.md", "page 00, second edition")?;
    std::fs::remove_file(git.path("docs/01.md")?)?;
    git.write("docs/deep/40.md", "page 40")?;
    git.commit().await?;
    let third = sync.run_job("acme", &body).await?;
    let counts = json!({"processed": 3, "added": 1, "updated": 1, "deleted": 1, "unchanged": 0, "estimate": 3});
    expect_job(&third, "succeeded", &counts)?;
    let memories = sync.memories("acme").await?;
    ensure!(
        memories.len() == 40 && memories.contains(&"page 00, second edition".to_owned()),
        "{memories:?}"
    );
    ensure!(!memories.contains(&"page 01".to_owned()), "{memories:?}");

    // A full run reads everything, and finds it as it is.
    let full = json!({"connectionId": third.body["connectionId"], "mode": "full"});
    let full = sync.run_job("acme", &full).await?;
    expect_job(&full, "succeeded", &json!({"processed": 40, "unchanged": 40}))?;
    ensure!(full.body["result"] == third.body["result"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_is_followed_and_is_no_mass_delete() -> Result<()> {
    let (sync, git) = (Sync::start().await?, Repository::start().await?);
    for n in 0..10 {
        git.write(&format!("old/{n}.md"), format!("page {n}"))?;
    }
    git.commit().await?;
    let mut body = repository(git.url(), "");
    body["target"] = json!({"type": "knowledge", "layer": "team"});
    expect_job(&sync.run_job("acme", &body).await?, "succeeded", &json!({"added": 10}))?;
    git.git(&["mv", "old", "new"]).await?;
    git.git(&["mv", "new/0.md", "new/README.md"]).await?;
    git.commit().await?;
    let moved = sync.run_job("acme", &body).await?;
    expect_job(
        &moved,
        "succeeded",
        &json!({"processed": 20, "added": 10, "deleted": 10}),
    )?;
    let paths = sync.knowledge.paths("acme");
    ensure!(
        paths.len() == 10 && paths.iter().all(|path| path.starts_with("new/")),
        "{paths:?}"
    );

    git.git(&["rm", "--quiet", "new/1.md", "new/2.md", "new/3.md"]).await?;
    git.commit().await?;
    let stopped = sync.run_job("acme", &body).await?;
    expect_job(&stopped, "failed", &json!({"deleted": 0}))?;
    ensure!(stopped.body["error"]["code"] == "MASS_DELETE", "{}", stopped.text);
    ensure!(sync.knowledge.paths("acme").len() == 10);
    body["allowMassDelete"] = json!(true);
    expect_job(&sync.run_job("acme", &body).await?, "succeeded", &json!({"deleted": 3}))?;
    ensure!(sync.knowledge.paths("acme").len() == 7);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_refused_is_asked_again_although_no_commit_came() -> Result<()> {
    let (sync, git) = (Sync::start().await?, Repository::start().await?);
    for n in 0..10 {
        git.write(&format!("{n}.md"), format!("page {n}"))?;
    }
    symlink("0.md", git.path("link.md")?)?;
    git.commit().await?;
    let mut body = repository(git.url(), "");
    body["target"] = json!({"type": "knowledge", "layer": "team"});
    let refused = || {
        sync.knowledge.fail([Fault {
            status: 422,
            retry_after: None,
            body: json!({"code": "INVALID_CONTENT"}),
        }]);
    };
    refused();
    let first = sync.run_job("acme", &body).await?;
    expect_job(&first, "partial", &json!({"added": 9, "rejected": 2}))?;
    refused();
    let again = sync.run_job("acme", &body).await?;
    expect_job(&again, "partial", &json!({"unchanged": 9, "rejected": 2}))?;
    let third = sync.run_job("acme", &body).await?;
    expect_job(&third, "partial", &json!({"added": 1, "unchanged": 9, "rejected": 1}))?;
    ensure!(sync.knowledge.paths("acme").len() == 10);
    // What is left is the source's own: nothing to look at before a commit comes.
    let fourth = sync.run_job("acme", &body).await?;
    expect_job(&fourth, "partial", &json!({"processed": 0}))
}

#[tokio::test(flavor = "multi_thread")]
async fn rewritten_history_is_found_and_compared_with_what_was_delivered() -> Result<()> {
    let (sync, git) = (Sync::start().await?, Repository::start().await?);
    for n in 0..10 {
        git.write(&format!("{n}.md"), format!("page {n}"))?;
    }
    let base = git.commit().await?;
    git.write("lost.md", "only in the history that is rewritten")?;
    git.write("0.md", "page 0, changed")?;
    git.commit().await?;
    let body = repository(git.url(), "");
    expect_job(&sync.run_job("acme", &body).await?, "succeeded", &json!({"added": 11}))?;

    git.git(&["reset", "--quiet", "--hard", &base]).await?;
    git.write("1.md", "page 1, changed")?;
    git.commit().await?;
    let job = sync.run_job("acme", &body).await?;
    // All are listed again; what did not change is known by its version and not read.
    let counts = json!({"processed": 11, "updated": 2, "deleted": 1, "unchanged": 8});
    expect_job(&job, "succeeded", &counts)?;
    let memories = sync.memories("acme").await?;
    ensure!(memories.contains(&"page 0".to_owned()) && memories.contains(&"page 1, changed".to_owned()));
    ensure!(memories.len() == 10, "{memories:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_pointers_and_what_is_no_text_are_rejected_alone() -> Result<()> {
    let (sync, git) = (Sync::start().await?, Repository::start().await?);
    git.write("good.md", "good")?;
    symlink("/etc/passwd", git.path("outside.md")?)?;
    symlink("good.md", git.path("inside.md")?)?;
    git.write("latin.md", b"caf\xe9")?;
    git.write("large.md", vec![b'x'; (1 << 20) + 1])?;
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    git.write("pointer.md", pointer)?;
    let commit = git.commit().await?;
    // Another repository under a name of Markdown.
    git.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},module.md"),
    ])
    .await?;
    git.git(&["commit", "--quiet", "--message=a module"]).await?;
    let job = sync.run_job("acme", &repository(git.url(), "")).await?;
    expect_job(&job, "partial", &json!({"processed": 7, "added": 1, "rejected": 6}))?;
    let expected = [
        ("inside.md", "SYMLINK"),
        ("large.md", "TOO_LARGE"),
        ("latin.md", "NOT_UTF8"),
        ("module.md", "SUBMODULE"),
        ("outside.md", "SYMLINK"),
        ("pointer.md", "LFS_POINTER"),
    ];
    let found = rejects(&sync).await?;
    ensure!(
        found == expected.map(|(id, code)| (id.to_owned(), code.to_owned())),
        "{found:?}"
    );
    ensure!(sync.memories("acme").await? == ["good"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_on_the_commit_that_it_began_with_and_elsewhere_if_that_is_lost() -> Result<()> {
    let (sync, git) = (Sync::by_hand().await?, Repository::start().await?);
    for n in 0..80 {
        git.write(&format!("{n:02}.md"), format!("page {n}"))?;
    }
    git.commit().await?;
    let body = repository(git.url(), "");
    let id = sync.start_job("acme", &body).await?.id()?;
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::Committed, 0).await?);
    for n in 0..40 {
        git.write(&format!("{n:02}.md"), format!("page {n}, changed"))?;
    }
    git.write("00-new.md", "a new page")?;
    git.commit().await?;
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    let over = sync.end_of("acme", id).await?;
    expect_job(&over, "succeeded", &json!({"processed": 80, "added": 80}))?;
    ensure!(!sync.memories("acme").await?.contains(&"a new page".to_owned()));

    // The next run sees what was pushed meanwhile; its worker dies, its copy is lost, and its commit is nowhere any more.
    let id = sync.start_job("acme", &body).await?.id()?;
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::Committed, 0).await?);
    ensure!(sync.memories("acme").await?.contains(&"a new page".to_owned()));
    sync.lose_copies()?;
    git.git(&["reset", "--quiet", "--hard", "HEAD~1"]).await?;
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    let over = sync.end_of("acme", id).await?;
    expect_job(&over, "succeeded", &json!({"deleted": 1}))?;
    let mut expected: Vec<_> = (0..80).map(|n| format!("page {n}")).collect();
    let mut memories = sync.memories("acme").await?;
    expected.sort();
    memories.sort();
    ensure!(memories == expected, "{memories:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_repository_has_its_class_and_its_code() -> Result<()> {
    let (sync, git) = (Sync::start().await?, Repository::start().await?);
    git.write("docs/a.md", "A")?;
    git.write("docs/b.md", "B")?;
    git.commit().await?;
    let with = |pointer: &str, value: Value| {
        let mut body = repository(git.url(), "docs");
        match pointer {
            "limits" => body["limits"] = value,
            field => body["source"]["config"][field] = value,
        }
        body
    };
    let nowhere = git.url().replace("docs.git", "nowhere.git");
    let inside = git.url().replace("127.0.0.1", "127.0.0.2");
    let cases = [
        (with("branch", json!("nope")), "config", "SOURCE_NOT_FOUND"),
        (with("path", json!("nope")), "config", "SOURCE_NOT_FOUND"),
        (with("url", json!(nowhere)), "config", "SOURCE_NOT_FOUND"),
        (with("url", json!(inside)), "config", "SOURCE_FORBIDDEN"),
        (with("limits", json!({"maxItems": 1})), "data", "TOO_MANY_ITEMS"),
        (with("limits", json!({"maxBytes": 20})), "data", "TOO_MANY_BYTES"),
    ];
    for (body, class, code) in cases {
        let job = sync.run_job("acme", &body).await?;
        expect_job(&job, "failed", &json!({"added": 0}))?;
        let error = &job.body["error"];
        ensure!(
            error["class"] == class && error["code"] == code,
            "not {code}: {}",
            job.text
        );
        // The next case has a copy of its own.
        sync.lose_copies()?;
    }
    for (field, value) in [
        ("url", "file:///etc"),
        ("url", "ssh://git@example.com/x"),
        ("branch", "a..b"),
        ("branch", "-x"),
        ("path", "../x"),
    ] {
        let answer = sync.start_job("acme", &with(field, json!(value))).await?;
        answer.expect_problem(422, "INVALID_BODY")?;
    }

    git.require("Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0");
    let job = sync.run_job("acme", &repository(git.url(), "docs")).await?;
    expect_job(&job, "failed", &json!({}))?;
    ensure!(
        job.body["error"]["code"] == "SOURCE_REFUSED" && job.body["error"]["class"] == "auth",
        "{}",
        job.text
    );
    sync.write_sendable("acme", "git-token", "s3cret\n", &[git.url()])?;
    let job = sync.run_job("acme", &with("secretRef", json!("git-token"))).await?;
    expect_job(&job, "succeeded", &json!({"added": 2}))?;
    ensure!(!job.text.contains("s3cret"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_a_killed_fetch_left_does_not_stop_the_next_one() -> Result<()> {
    let (sync, git) = (Sync::by_hand().await?, Repository::start().await?);
    git.write("docs/a.md", "one")?;
    git.commit().await?;
    let body = repository(git.url(), "docs");
    let run = async || -> Result<crate::api::service::Answer> {
        sync.let_time_pass().await?;
        drive(&sync.context(), sync.claim().await?).await;
        let jobs = sync.get("acme", "/api/v1/sync/jobs?limit=1").await?;
        sync.get(
            "acme",
            &format!(
                "/api/v1/sync/status/{}",
                jobs.body["items"][0]["id"].as_str().unwrap_or_default()
            ),
        )
        .await
    };
    sync.start_job("acme", &body).await?.expect(202)?;
    expect_job(&run().await?, "succeeded", &json!({"added": 1}))?;

    let copy = sync.copies()?.pop().context("there is a copy")?;
    for lock in ["refs/sync/tip.lock", "HEAD.lock", "packed-refs.lock"] {
        std::fs::write(copy.join(lock), "")?;
    }
    git.write("docs/a.md", "two")?;
    git.commit().await?;
    sync.start_job("acme", &body).await?.expect(202)?;
    expect_job(&run().await?, "succeeded", &json!({"updated": 1}))?;

    // One that cannot be removed: the copy is made anew.
    std::fs::create_dir(copy.join("refs/sync/tip.lock"))?;
    git.write("docs/a.md", "three")?;
    git.commit().await?;
    sync.start_job("acme", &body).await?.expect(202)?;
    let stuck = run().await?;
    expect_job(&stuck, "queued", &json!({}))?;
    ensure!(stuck.body["error"]["code"] == "COPY_UNREADABLE", "{}", stuck.text);
    expect_job(&run().await?, "succeeded", &json!({"updated": 1}))?;

    // One worker at a time has a copy.
    let held = std::fs::File::options()
        .append(true)
        .open(copy.with_extension("lock"))?;
    held.lock()?;
    git.write("docs/a.md", "four")?;
    git.commit().await?;
    sync.start_job("acme", &body).await?.expect(202)?;
    let busy = run().await?;
    ensure!(busy.body["error"]["code"] == "COPY_IN_USE", "{}", busy.text);
    drop(held);
    expect_job(&run().await?, "succeeded", &json!({"updated": 1}))?;
    ensure!(sync.memories("acme").await? == ["four"]);
    Ok(())
}
