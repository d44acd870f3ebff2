//! Who is related to whom: the view of an item, and what it does for contexts.

use std::process::Command;
use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use aeterna_testkit::Postgres;
use anyhow::{Context as _, Result, ensure};
use knowledge_service::graph::Age;
use knowledge_service::graph::one::Graph;
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{ADMIN, As, Service, wait_until};
use crate::api::service::{Answer, send};

const DEVELOPER: As = As("acme", "dev", "Developer");
const PATIENCE: Duration = Duration::from_secs(20);

/// A service that has the library which `make build` fetches.
async fn start() -> Result<Service> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services/knowledge/fetch-duckdb.sh");
    let fetched = Command::new(script).output()?;
    ensure!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let library = String::from_utf8(fetched.stdout)?;
    let options = ["--auth-mode", "disabled", "--duckdb-library", library.trim()];
    Service::start_on(Postgres::shared().await?, &options).await
}

/// Stores an accepted note, and returns nothing but that it went well.
async fn store(service: &Service, path: &str, content: &str) -> Result<()> {
    let body = json!({"path": path, "content": content, "kind": "note", "layer": "team", "status": "accepted"});
    service.post(ADMIN, "/knowledge", &body).await?.expect(201)
}

async fn relations(service: &Service, who: As, path: &str) -> Result<Answer> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let answer = service
        .get(who, &format!("/knowledge/{path}{joint}view=relations"))
        .await?;
    answer.expect(200)?;
    Ok(answer)
}

/// The ways to related items, as `relation direction path` steps.
fn ways(answer: &Answer) -> Vec<String> {
    let step = |step: &Value| {
        let word = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", word("relation"), word("direction"), word("path"))
    };
    let related = answer.body["relations"].as_array().into_iter().flatten();
    related
        .map(|one| {
            one["via"]
                .as_array()
                .into_iter()
                .flatten()
                .map(step)
                .collect::<Vec<_>>()
                .join(", ")
        })
        .collect()
}

#[tokio::test]
async fn an_item_tells_what_it_links_to_and_what_leads_to_it_over_five_steps() -> Result<()> {
    let service = start().await?;
    for n in 0..7 {
        store(&service, &format!("chain/n{n}.md"), &format!("Next is [[n{}]].", n + 1)).await?;
    }
    store(
        &service,
        "other/cites.md",
        "As knowledge:chain/n1.md@1 says; see also [this](../chain/N0.md).",
    )
    .await?;
    let body = json!({"path": "new.md", "content": "x", "kind": "note", "layer": "team", "status": "accepted", "supersedes": "chain/n6.md"});
    service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    let near = relations(&service, ADMIN, "chain/n0.md").await?;
    ensure!(
        ways(&near) == ["link out chain/n1.md", "link in other/cites.md"],
        "{}",
        near.text
    );
    ensure!(
        near.body["degraded"] == false && near.body["truncated"] == false,
        "{}",
        near.text
    );
    let far = relations(&service, ADMIN, "chain/n0.md?depth=5").await?;
    let found = ways(&far);
    ensure!(found.len() == 6 && found[0] == "link out chain/n1.md", "{}", far.text);
    let last = found.last().context("none")?;
    ensure!(
        last.starts_with("link out chain/n1.md, link out chain/n2.md, ") && last.ends_with("n5.md"),
        "{last}"
    );
    ensure!(
        far.body["relations"][5]["depth"] == 5 && far.body["relations"][5]["title"] == "n5",
        "{}",
        far.text
    );
    let successor = relations(&service, ADMIN, "chain/n6.md").await?;
    ensure!(
        ways(&successor) == ["link in chain/n5.md", "supersedes in new.md"],
        "{}",
        successor.text
    );
    let cut = relations(&service, ADMIN, "chain/n0.md?depth=5&limit=2").await?;
    ensure!(ways(&cut).len() == 2 && cut.body["truncated"] == true, "{}", cut.text);
    // What is written now is known now: a link goes, an item goes.
    let change = json!({"content": "Nothing follows.", "kind": "note", "layer": "team"});
    service.put(ADMIN, "chain/n0.md", &change).await?.expect(200)?;
    let delete = service
        .request(ADMIN, Method::DELETE, "/knowledge/other/cites.md")
        .header("If-Match", "*");
    send(delete).await?.expect(204)?;
    let none = relations(&service, ADMIN, "chain/n0.md?depth=5").await?;
    ensure!(
        ways(&none).is_empty() && none.body["degraded"] == false,
        "{}",
        none.text
    );
    for (path, status, code) in [
        ("chain/n0.md?view=relations&depth=6", 400, "INVALID_PARAMETER"),
        ("chain/n0.md?view=relations&depth=0", 400, "INVALID_PARAMETER"),
        ("chain/n0.md?view=relations&limit=201", 400, "INVALID_PARAMETER"),
        ("other/cites.md?view=relations", 410, "KNOWLEDGE_DELETED"),
        ("nowhere.md?view=relations", 404, "KNOWLEDGE_NOT_FOUND"),
    ] {
        service
            .get(ADMIN, &format!("/knowledge/{path}"))
            .await?
            .expect_problem(status, code)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_note_cites_what_it_was_made_of() -> Result<()> {
    let service = start().await?;
    store(
        &service,
        "a.md",
        "The export failed at night. We tried again with jitter.",
    )
    .await?;
    let made = service
        .post(ADMIN, "/notes", &json!({"sourceRefs": ["a.md"], "layer": "team"}))
        .await?;
    made.expect(201)?;
    let note = made.body["path"].as_str().context("no path")?;
    ensure!(
        ways(&relations(&service, ADMIN, note).await?) == ["citation out a.md"],
        "{note}"
    );
    let cited = relations(&service, ADMIN, "a.md").await?;
    ensure!(ways(&cited) == [format!("citation in {note}")], "{}", cited.text);
    Ok(())
}

#[tokio::test]
async fn anothers_draft_is_no_neighbour_and_no_bridge() -> Result<()> {
    let service = start().await?;
    store(&service, "a.md", "See [[draft]].").await?;
    store(&service, "c.md", "The end.").await?;
    service.note(ADMIN, "draft.md", "See [[c]].").await?.expect(201)?;
    let mine = relations(&service, ADMIN, "a.md?depth=5").await?;
    ensure!(
        ways(&mine) == ["link out draft.md", "link out draft.md, link out c.md"],
        "{}",
        mine.text
    );
    let theirs = relations(&service, DEVELOPER, "a.md?depth=5").await?;
    ensure!(
        ways(&theirs).is_empty() && !theirs.text.contains("draft"),
        "{}",
        theirs.text
    );
    Ok(())
}

#[tokio::test]
async fn the_graph_of_one_tenant_has_nothing_of_another() -> Result<()> {
    let service = start().await?;
    let other = As("globex", "gil", "TenantAdmin");
    store(&service, "a.md", "See [[b]].").await?;
    store(&service, "b.md", "The end.").await?;
    let body =
        json!({"path": "b.md", "content": "Theirs, see [[a]].", "kind": "note", "layer": "team", "status": "accepted"});
    service.post(other, "/knowledge", &body).await?.expect(201)?;
    ensure!(
        ways(&relations(&service, ADMIN, "a.md").await?) == ["link out b.md"],
        "mine"
    );
    let theirs = relations(&service, other, "b.md?depth=5").await?;
    ensure!(ways(&theirs).is_empty(), "{}", theirs.text);
    service
        .get(other, "/knowledge/a.md?view=relations")
        .await?
        .expect_problem(404, "KNOWLEDGE_NOT_FOUND")
}

#[tokio::test]
async fn without_the_library_direct_relations_are_told_and_contexts_made() -> Result<()> {
    let options = ["--auth-mode", "disabled", "--duckdb-library", "/no/such/library.so"];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    store(&service, "a.md", "Zebras: [b](b.md), knowledge:c.md@1.").await?;
    store(&service, "b.md", "See [[c.md]].").await?;
    store(&service, "c.md", "The end.").await?;
    service.note(ADMIN, "draft.md", "See [[a.md]].").await?.expect(201)?;
    let found = relations(&service, DEVELOPER, "a.md?depth=3").await?;
    ensure!(ways(&found) == ["link out b.md", "citation out c.md"], "{}", found.text);
    ensure!(found.body["degraded"] == true, "{}", found.text);
    let mine = relations(&service, ADMIN, "a.md").await?;
    ensure!(ways(&mine).contains(&"link in draft.md".to_owned()), "{}", mine.text);
    let ask = json!({"query": "zebras", "include": {"memories": false}});
    let told = service.post(ADMIN, "/context/assemble", &ask).await?;
    told.expect(200)?;
    ensure!(
        told.body["linked"] == false && told.body["entries"][0]["ref"] == "knowledge:a.md@1",
        "{}",
        told.text
    );
    Ok(())
}

#[tokio::test]
async fn a_graph_that_breaks_is_built_again() -> Result<()> {
    let service = start().await?;
    store(&service, "a.md", "See [[b]].").await?;
    store(&service, "b.md", "The end.").await?;
    let scope = TenantScope::for_worker(TenantId::parse("acme")?);
    let state = &service.state;
    for _ in 0..3 {
        ensure!(
            ways(&relations(&service, ADMIN, "a.md").await?) == ["link out b.md"],
            "not found"
        );
        let broken = state
            .graphs
            .ask(&state.pool, &scope, Age::Now, PATIENCE, Graph::break_down)
            .await;
        ensure!(broken.is_some(), "it could not be broken");
    }
    // Also when it breaks before something new is taken over.
    store(&service, "c.md", "See [[a]].").await?;
    let found = relations(&service, ADMIN, "a.md").await?;
    ensure!(found.body["degraded"] == false, "{}", found.text);
    ensure!(ways(&found) == ["link out b.md", "link in c.md"], "{}", found.text);
    Ok(())
}

#[tokio::test]
async fn a_context_tells_what_is_linked_to_what_was_found_and_what_is_told_with_it() -> Result<()> {
    let service = start().await?;
    store(&service, "zebra.md", "Zebras are exported at night; see [[limits]].").await?;
    store(&service, "limits.md", "Never more than forty at once.").await?;
    store(&service, "yak.md", "Yaks wait.").await?;
    store(&service, "soup.md", "The canteen has soup.").await?;
    let ask = async |query: &str| {
        let body = json!({"query": query, "include": {"memories": false}});
        service.post(ADMIN, "/context/assemble", &body).await
    };
    let refs = |answer: &Answer| -> Vec<String> {
        let entries = answer.body["entries"].as_array().into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry["ref"].as_str()?.to_owned()))
            .collect()
    };
    // The first question may find the graph still being built.
    wait_until("the link counts", async || {
        let told = ask("zebras").await?;
        told.expect(200)?;
        Ok(told.body["linked"] == true && refs(&told).contains(&"knowledge:limits.md@1".to_owned()))
    })
    .await?;
    ensure!(
        refs(&ask("yaks").await?) == ["knowledge:yak.md@1"],
        "nothing is related yet"
    );
    // Two questions that both are answered by zebras and yaks tie the two.
    for question in ["zebras and yaks", "yaks or zebras"] {
        ensure!(refs(&ask(question).await?).len() >= 2, "{question}");
    }
    wait_until("the common use counts", async || {
        Ok(ways(&relations(&service, ADMIN, "yak.md").await?).contains(&"coUse both zebra.md".to_owned()))
    })
    .await?;
    wait_until("what is told together is found together", async || {
        let body = json!({"query": "yaks", "minRelevance": 0.1, "include": {"memories": false}});
        let told = service.post(ADMIN, "/context/assemble", &body).await?;
        Ok(refs(&told).contains(&"knowledge:zebra.md@1".to_owned()))
    })
    .await?;
    // The same question of the same caller counts once, however often it is asked.
    let times: i64 = sqlx::query_scalar("select max(times) from knowledge.co_uses")
        .fetch_one(&service.root)
        .await?;
    ensure!(times <= 4, "{times}");
    let soup = ask("soup").await?;
    ensure!(refs(&soup) == ["knowledge:soup.md@1"], "{}", soup.text);
    Ok(())
}

#[tokio::test]
async fn without_the_library_a_large_tenant_is_not_read_through_for_the_links_of_one_item() -> Result<()> {
    let options = ["--auth-mode", "disabled", "--duckdb-library", "/no/such/library.so"];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    store(&service, "a.md", "See [b](b.md).").await?;
    store(&service, "b.md", "The end.").await?;
    let fill = "insert into knowledge.items (tenant_id, path, folded, kind, layer, status, severity, title, tags, author, version)
        select 'acme', 'n/' || n, 'n/' || n, 'note', 'team', 'accepted', 'info', 'x', '{}', 'ann', 1
        from generate_series(1, 20000) n";
    sqlx::query(fill).execute(&service.root).await?;
    sqlx::query("analyze knowledge.items").execute(&service.root).await?;
    let scans = async || -> Result<i64> {
        let query = "select idx_scan from pg_stat_user_indexes where indexrelname = 'items_by_folded'";
        Ok(sqlx::query_scalar(query).fetch_one(&service.root).await?)
    };
    let before = scans().await?;
    // More than the two writes can have made. Counts arrive when their session has been at rest for a second.
    wait_until("the links are found by their index", async || {
        let found = relations(&service, ADMIN, "a.md").await?;
        ensure!(ways(&found) == ["link out b.md"], "{}", found.text);
        Ok(scans().await? > before + 20)
    })
    .await
}

#[tokio::test]
async fn a_graph_outlives_a_database_that_is_away_and_nobody_waits_for_who_asks_it() -> Result<()> {
    let service = start().await?;
    store(&service, "a.md", "See [[b]].").await?;
    store(&service, "b.md", "The end.").await?;
    relations(&service, ADMIN, "a.md").await?;
    let scope = TenantScope::for_worker(TenantId::parse("acme")?);
    let graphs = &service.state.graphs;
    let known = |_: &Graph| Ok(true);
    let hasty = sqlx::postgres::PgPoolOptions::new().acquire_timeout(Duration::from_millis(200));
    let away = hasty.connect_lazy("postgres://127.0.0.1:1/none")?;
    // Who must know what is new gets no answer; what is there stays there for the others.
    let now = graphs.ask(&away, &scope, Age::Now, PATIENCE, known).await;
    ensure!(now.is_none(), "it answers what it cannot know");
    let recent = graphs.ask(&away, &scope, Age::Recent, PATIENCE, known).await;
    ensure!(recent == Some(true), "the graph was thrown away");
    // A database that takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let silent = sqlx::PgPool::connect_lazy(&format!("postgres://{}/none", silent.local_addr()?))?;
    let waiting = graphs.ask(&silent, &scope, Age::Now, PATIENCE, known);
    let meanwhile = async {
        // Its turn is taken when the first future is polled, which is before this one.
        graphs
            .ask(&service.state.pool, &scope, Age::Recent, PATIENCE, known)
            .await
    };
    tokio::select! {
        biased;
        _ = waiting => anyhow::bail!("the one that waits was first"),
        answer = meanwhile => ensure!(answer == Some(true), "no answer"),
    }
    Ok(())
}

#[tokio::test]
async fn without_the_library_there_is_more_only_if_the_reader_may_see_it() -> Result<()> {
    let options = ["--auth-mode", "disabled", "--duckdb-library", "/no/such/library.so"];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    store(
        &service,
        "a.md",
        "See [b](b.md), as knowledge:b.md says, and [d](a-draft.md).",
    )
    .await?;
    store(&service, "b.md", "Back to [a](a.md).").await?;
    service.note(ADMIN, "a-draft.md", "Not yet.").await?.expect(201)?;
    let found = relations(&service, DEVELOPER, "a.md?limit=1").await?;
    ensure!(found.body["truncated"] == false, "{}", found.text);
    ensure!(
        found.body["relations"].as_array().map(Vec::len) == Some(1) && !found.text.contains("draft"),
        "{}",
        found.text
    );
    let found = relations(&service, ADMIN, "a.md?limit=1").await?;
    ensure!(found.body["truncated"] == true, "{}", found.text);
    Ok(())
}
