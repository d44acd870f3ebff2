//! Search by words: what is found, in which order, and how.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::service::{ADMIN, As, Service, wait_until};

async fn paths(service: &Service, who: As, body: Value) -> Result<Vec<String>> {
    let answer = service.post(who, "/knowledge/search", &body).await?;
    answer.expect(200)?;
    let items = answer.body["items"].as_array().into_iter().flatten();
    Ok(items
        .filter_map(|item| item["path"].as_str())
        .map(str::to_owned)
        .collect())
}

async fn fill(service: &Service) -> Result<()> {
    for (path, title, tags, content, layer) in [
        ("body.md", "One", json!([]), "We are retrying every request.", "team"),
        ("tag.md", "Two", json!(["retry"]), "Nothing else here.", "team"),
        ("title.md", "Retries", json!([]), "Nothing else here.", "org"),
        (
            "phrase.md",
            "Three",
            json!([]),
            "A circuit breaker, and policies of it.",
            "team",
        ),
        ("apart.md", "Four", json!([]), "A breaker in a circuit.", "team"),
    ] {
        let body = json!({"path": path, "title": title, "tags": tags, "content": content, "kind": "note", "layer": layer,
            "status": "accepted"});
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    Ok(())
}

#[tokio::test]
async fn titles_come_before_tags_before_text_in_any_form_of_the_word() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    let found = paths(&service, ADMIN, json!({"query": "retried"})).await?;
    ensure!(found == ["title.md", "tag.md", "body.md"], "{found:?}");
    Ok(())
}

#[tokio::test]
async fn phrases_prefixes_and_what_is_unwanted_are_honoured() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    for (query, wanted) in [
        (r#""circuit breaker""#, vec!["phrase.md"]),
        ("circui* breaker -policy", vec!["apart.md"]),
        ("polic*", vec!["phrase.md"]),
        ("retry circuit", vec![]),
        ("it's (((", vec![]),
        ("the", vec![]),
    ] {
        let found = paths(&service, ADMIN, json!({"query": query})).await?;
        ensure!(found == wanted, "{query}: {found:?}");
    }
    let any = paths(&service, ADMIN, json!({"query": "retry circuit", "mode": "any"})).await?;
    ensure!(any.len() == 5, "{any:?}");
    let answer = service
        .post(ADMIN, "/knowledge/search", &json!({"query": r#""circuit breaker""#}))
        .await?;
    ensure!(
        answer.body["items"][0]["highlights"] == json!([[0, 7], [8, 15]]),
        "{}",
        answer.text
    );
    Ok(())
}

#[tokio::test]
async fn filters_facets_and_cursors_speak_of_the_same_matches() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    let question = json!({"query": "retry", "facets": true, "limit": 1});
    let first = service.post(ADMIN, "/knowledge/search", &question).await?;
    ensure!(
        first.body["total"] == 3 && first.body["facets"]["layer"] == json!({"org": 1, "team": 2}),
        "{}",
        first.text
    );
    let mut next = question.clone();
    next["cursor"] = first.body["nextCursor"].clone();
    let second = service.post(ADMIN, "/knowledge/search", &next).await?;
    ensure!(second.body["items"][0]["path"] == "tag.md", "{}", second.text);
    next["query"] = json!("another");
    service
        .post(ADMIN, "/knowledge/search", &next)
        .await?
        .expect_problem(400, "INVALID_CURSOR")?;
    for (filter, wanted) in [
        (json!({"layers": ["org"]}), vec!["title.md"]),
        (json!({"tags": ["retry"]}), vec!["tag.md"]),
        (json!({"pathPrefix": "bod"}), vec!["body.md"]),
        (json!({"kinds": ["adr"]}), vec![]),
        (json!({"status": ["draft"]}), vec![]),
        (json!({"updatedAfter": "2999-01-01T00:00:00Z"}), vec![]),
    ] {
        let mut body = filter.clone();
        body["query"] = json!("retry");
        let found = paths(&service, ADMIN, body).await?;
        ensure!(found == wanted, "{filter}: {found:?}");
    }
    for bad in [
        json!({"query": ""}),
        json!({"query": "-x"}),
        json!({"query": "x", "limit": 0}),
        json!({"query": "x", "l": 1}),
    ] {
        service
            .post(ADMIN, "/knowledge/search", &bad)
            .await?
            .expect_problem(422, "INVALID_BODY")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_change_is_found_at_once_and_a_deleted_or_foreign_item_or_anothers_draft_never() -> Result<()> {
    let service = Service::start().await?;
    let draft = json!({"path": "d.md", "content": "zebra", "kind": "note", "layer": "team"});
    let author = As("acme", "dev", "Developer");
    service.post(author, "/knowledge", &draft).await?.expect(201)?;
    let any_status = json!({"query": "zebra", "status": []});
    ensure!(paths(&service, author, any_status.clone()).await? == ["d.md"]);
    ensure!(paths(&service, ADMIN, any_status.clone()).await? == ["d.md"]);
    for who in [As("acme", "other", "Developer"), As("globex", "eve", "PlatformAdmin")] {
        let answer = service.post(who, "/knowledge/search", &any_status).await?;
        ensure!(
            answer.body["items"] == json!([]) && answer.body["total"] == 0,
            "{}",
            answer.text
        );
    }
    let changed = json!({"content": "giraffe", "kind": "note", "layer": "team"});
    service.put(author, "d.md", &changed).await?.expect(200)?;
    ensure!(paths(&service, author, any_status).await?.is_empty());
    let delete = service
        .request(author, reqwest::Method::DELETE, "/knowledge/d.md")
        .header("If-Match", "*");
    crate::api::service::send(delete).await?.expect(204)?;
    ensure!(
        paths(&service, author, json!({"query": "giraffe", "status": []}))
            .await?
            .is_empty()
    );
    Ok(())
}

/// Nobody but its function can look with the searcher's eyes, and that one looks only where the scope is.
#[tokio::test]
async fn the_searchers_function_takes_its_tenant_from_the_scope_alone() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    let count = "select count(*) from knowledge.match('retri', '{}', '{}', '{}', '{}', '', null, null, 10, null, null, 10, false)
         where row_kind = 'hit'";
    for (scope, wanted) in [("acme", 3_i64), ("globex", 0), ("", 0)] {
        let mut tx = service.root.begin().await?;
        sqlx::query("select set_config('role', 'aeterna_app', true), set_config('app.tenant_id', $1, true)")
            .bind(scope)
            .execute(&mut *tx)
            .await?;
        let found: i64 = sqlx::query_scalar(count).fetch_one(&mut *tx).await?;
        ensure!(found == wanted, "{scope}: {found}");
    }
    let refused = sqlx::query("select body from knowledge.versions");
    let mut tx = service.root.begin().await?;
    sqlx::query("set local role aeterna_searcher").execute(&mut *tx).await?;
    ensure!(
        refused.execute(&mut *tx).await.is_err(),
        "the searcher reads what items say"
    );
    Ok(())
}

/// The bound is on rows and not on time, which says as much about the machine as about the search.
#[tokio::test]
async fn a_tenant_of_50_000_items_is_written_and_searched_through_indexes() -> Result<()> {
    let service = Service::start().await?;
    sqlx::raw_sql(FILL).execute(&service.root).await?;
    let asked = [
        ("w1234", "all"),
        ("w77 w301", "all"),
        ("\"w21 w40\"", "all"),
        ("w1999*", "all"),
        ("w500 w900 w1500 w7000", "any"),
    ];
    let counted =
        async |query: &'static str| -> Result<i64> { Ok(sqlx::query_scalar(query).fetch_one(&service.root).await?) };
    let looks = "select idx_scan from pg_stat_user_indexes where indexrelname = 'items_by_words'";
    let rows = "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables
        where schemaname = 'knowledge' and relname = 'items'";
    let walks = "select seq_scan from pg_stat_user_tables where schemaname = 'knowledge' and relname = 'items'";
    // What a session has read is told when it has been at rest for some seconds, all of it at once.
    let filled = "select n_tup_upd from pg_stat_user_tables where schemaname = 'knowledge' and relname = 'items'";
    wait_until("the fill is counted", async || Ok(counted(filled).await? >= 50_000)).await?;
    let before = (counted(looks).await?, counted(rows).await?, counted(walks).await?);
    service.note(ADMIN, "new/a.md", "text").await?.expect(201)?;
    for (query, mode) in asked {
        let body = json!({"query": query, "mode": mode, "facets": true});
        let answer = service.post(ADMIN, "/knowledge/search", &body).await?;
        ensure!(answer.body["total"].as_i64() > Some(0), "{query}: {}", answer.text);
    }
    let many = i64::try_from(asked.len())?;
    wait_until("the searches are counted", async || {
        Ok(counted(looks).await? >= before.0 + many)
    })
    .await?;
    let (read, walked) = (counted(rows).await? - before.1, counted(walks).await? - before.2);
    ensure!(walked == 0, "the table was walked {walked} times");
    ensure!(read < many * 25_000, "{read} rows for {many} searches");
    Ok(())
}

/// 50,000 items of 120 to 180 words, of which a few are frequent and most are rare.
const FILL: &str = "
    set statement_timeout = 0;
    insert into knowledge.items (tenant_id, path, folded, kind, layer, status, severity, title, tags, author, version)
    select 'acme', 'f/' || n, 'f/' || n, 'note', 'team', 'accepted', 'info', 'title w' || n % 500, array['a'], 'x', 1
    from generate_series(1, 50000) n;
    insert into knowledge.versions (tenant_id, item_id, version, action, status, attributes, body, content_hash, author, owner)
    select i.tenant_id, i.item_id, 1, 'created', 'accepted', '{}', t.body, '', 'x', 'x'
    from knowledge.items i, lateral (
        select string_agg('w' || floor(power(random(), 3) * 20000)::int, ' ') as body
        from generate_series(1, 120 + length(i.path) * 7)) t;
    update knowledge.items i set words = knowledge.words(i.tenant_id, i.title, i.tags, v.body)
    from knowledge.versions v where v.tenant_id = i.tenant_id and v.item_id = i.item_id;
    analyze knowledge.items;
    analyze knowledge.versions;
";
