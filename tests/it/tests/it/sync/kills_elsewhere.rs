//! Workers die over a repository and over a feed: what is delivered in the end is what an undisturbed run delivers.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::feed::feed;
use super::kills::{Crashes, Ran, at_random, run_over};
use super::repository::{Repository, repository};
use super::service::Sync;
use super::web::{Web, response};

/// What is read, in its first form and then in its second.
enum Origin {
    Git(Repository),
    Feed(Web),
}

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edition {
    First,
    Second,
}

/// The texts of an edition: changed, new and missing ones.
fn texts(edition: Edition) -> Vec<(String, String)> {
    let (from, to) = if edition == Edition::First { (0, 45) } else { (3, 47) };
    let text = |n| match edition {
        Edition::Second if n % 5 == 0 => format!("page {n}, changed"),
        Edition::First | Edition::Second => format!("page {n}"),
    };
    (from..to).map(|n| (format!("{n:02}.md"), text(n))).collect()
}

impl Origin {
    async fn publish(&self, edition: Edition) -> Result<()> {
        match self {
            Self::Git(git) => {
                for (name, text) in texts(edition) {
                    git.write(&format!("docs/{name}"), text)?;
                }
                for n in (0..3).filter(|_| edition == Edition::Second) {
                    std::fs::remove_file(git.path(&format!("docs/{n:02}.md"))?)?;
                }
                git.commit().await?;
            }
            Self::Feed(web) => web.answer(move |asked| {
                let all = texts(edition);
                // Two documents, each with its version; the second one is longer than a batch.
                let (part, link) = match asked.path.as_str() {
                    "/feed" => (all.get(..10), Some(("link", "</feed?2>; rel=next"))),
                    _ => (all.get(10..), None),
                };
                let line =
                    |(id, text): &(String, String)| format!("{}\n", serde_json::json!({"id": id, "content": text}));
                let body: String = part.unwrap_or_default().iter().map(line).collect();
                response(200, link.as_slice(), body)
            }),
        }
        Ok(())
    }

    fn body(&self) -> Value {
        match self {
            Self::Git(git) => repository(git.url(), "docs"),
            Self::Feed(web) => feed(&web.url("/feed")),
        }
    }
}

/// What both runs came to: their digests, and what is there in the end.
type Found = ([Value; 2], Vec<String>);

/// Runs over both editions with crashes.
async fn run(sync: &Sync, origin: Origin, tenant: &str, crashes: Crashes<'_>) -> Result<(Found, [Ran; 2])> {
    origin.publish(Edition::First).await?;
    let first = run_over(sync, tenant, &origin.body(), crashes[0]).await?;
    origin.publish(Edition::Second).await?;
    let second = run_over(sync, tenant, &origin.body(), crashes[1]).await?;
    ensure!(second.job.body["status"] == "succeeded", "{}", second.job.text);
    let digests = [&first, &second].map(|ran| ran.job.body["result"].clone());
    Ok(((digests, sync.memories(tenant).await?), [first, second]))
}

async fn disturb(make: impl AsyncFn() -> Result<Origin>) -> Result<()> {
    let sync = Sync::by_hand().await?;
    let (calm, [first, second]) = run(&sync, make().await?, "calm", [&[], &[]]).await?;
    let (digests, memories) = &calm;
    ensure!(
        digests[0]["digest"].is_string() && digests[0] != digests[1] && memories.len() == 44,
        "{calm:?}"
    );
    let passes = [&first.passes, &second.passes];
    at_random(6, 1..5, passes, &async |tenant: &str, crashes: Crashes<'_>| {
        let (found, ran) = run(&sync, make().await?, tenant, crashes).await?;
        ensure!(found == calm, "{found:?}");
        Ok(ran.iter().map(|ran| ran.crashes).sum())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_at_random_points_over_a_repository_the_target_is_that_of_an_undisturbed_run() -> Result<()> {
    disturb(async || Ok(Origin::Git(Repository::start().await?))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_at_random_points_over_a_feed_the_target_is_that_of_an_undisturbed_run() -> Result<()> {
    disturb(async || Ok(Origin::Feed(Web::start(|_| response(503, &[], "")).await?))).await
}
