//! Folders as tar archives, out and in.

use std::collections::BTreeMap;
use std::io::Read as _;

use aeterna_kit::ids::TenantId;
use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::service::{ADMIN, As, Service, wait_until};
use crate::api::service::{Answer, send};

pub(super) const TAR: &str = "application/x-tar";
pub(super) const ADR: &str = "# Store\n## Context\nWe need one.\n## Decision\nPostgres.\n## Consequences\nWe run it.\n";
pub(super) const DEVELOPER: As = As("acme", "dev", "Developer");

pub(super) fn archive(files: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len())?);
        builder.append_data(&mut header, name, content.as_bytes())?;
    }
    Ok(builder.into_inner()?)
}

pub(super) async fn export(service: &Service, who: As, folder: &str) -> Result<Vec<u8>> {
    let path = format!("/knowledge/{folder}");
    let request = service.request(who, Method::GET, &path).header("Accept", TAR);
    let answer = request.send().await?.error_for_status()?;
    ensure!(answer.headers()["content-type"] == TAR, "{:?}", answer.headers());
    Ok(answer.bytes().await?.to_vec())
}

pub(super) async fn import(service: &Service, who: As, query: &str, archive: Vec<u8>) -> Result<Answer> {
    let path = format!("/knowledge/import?{query}");
    let request = service.request(who, Method::POST, &path).header("Content-Type", TAR);
    send(request.body(archive)).await
}

/// The files of an archive, in their order.
fn files(archive: &[u8]) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let (name, mut text) = (entry.path()?.display().to_string(), String::new());
        entry.read_to_string(&mut text)?;
        found.push((name, text));
    }
    Ok(found)
}

fn names(archive: &[u8]) -> Result<Vec<String>> {
    Ok(files(archive)?.into_iter().map(|(name, _)| name).collect())
}

pub(super) fn faults(answer: &Answer) -> BTreeMap<&str, &str> {
    let errors = answer.body["errors"].as_array().into_iter().flatten();
    errors
        .filter_map(|error| Some((error["pointer"].as_str()?, error["message"].as_str()?)))
        .collect()
}

/// An item of every end: superseded, in force, deprecated, rejected; one that waits, and a draft.
async fn fill(service: &Service) -> Result<()> {
    let adr = |path: &str, status: &str, supersedes: Option<&str>| json!({"path": path, "content": ADR, "kind": "adr", "layer": "company", "status": status, "supersedes": supersedes});
    for body in [
        adr("k/adrs/2.md", "accepted", None),
        adr("k/adrs/1.md", "accepted", Some("k/adrs/2.md")),
        adr("k/adrs/3.md", "accepted", None),
        adr("k/adrs/4.md", "proposed", None),
        adr("k/adrs/5.md", "proposed", None),
        adr("k/adrs/6.md", "draft", None),
        adr("elsewhere.md", "accepted", None),
    ] {
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    for (path, status) in [("k/adrs/3.md", "deprecated"), ("k/adrs/4.md", "rejected")] {
        service.put(ADMIN, path, &adr(path, status, None)).await?.expect(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_that_went_out_comes_in_as_it_was() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    let out = export(&service, ADMIN, "k/").await?;
    ensure!(
        out == export(&service, ADMIN, "k/").await?,
        "an export is not the same twice"
    );
    ensure!(
        names(&out)?.len() == 6 && names(&out)?[0] == "adrs/1.md",
        "{:?}",
        names(&out)?
    );
    ensure!(
        names(&export(&service, ADMIN, "").await?)?.len() == 7,
        "the root is everything"
    );
    ensure!(
        names(&export(&service, ADMIN, "nothing/").await?)?.is_empty(),
        "a folder of nothing"
    );
    // Another's draft stays behind.
    ensure!(
        names(&export(&service, DEVELOPER, "k/").await?)?.len() == 5,
        "a draft went out"
    );
    let globex = As("globex", "gil", "TenantAdmin");
    let taken = import(&service, globex, "folder=k", out.clone()).await?;
    taken.expect(200)?;
    ensure!(
        taken.body["created"] == 6 && taken.body["changed"] == 0,
        "{}",
        taken.text
    );
    ensure!(
        files(&export(&service, globex, "k/").await?)? == files(&out)?,
        "it changed on its way"
    );
    let superseded = service.get(globex, "/knowledge/k/adrs/2.md").await?;
    ensure!(
        superseded.body["supersededBy"] == "k/adrs/1.md" && superseded.body["version"] == 2,
        "{}",
        superseded.text
    );
    let again = import(&service, globex, "folder=k/", out).await?;
    ensure!(
        again.body["unchanged"] == 6 && again.body["created"] == 0,
        "{}",
        again.text
    );
    ensure!(
        again.body["items"][1] == json!({"path": "k/adrs/2.md", "outcome": "unchanged", "version": 2}),
        "{}",
        again.text
    );
    Ok(())
}

#[tokio::test]
async fn an_export_of_many_pages_shows_what_was_in_force_by_path() -> Result<()> {
    let service = Service::start().await?;
    let note = |n: usize| {
        (
            format!("n/{n:03}.md"),
            format!("---\nkind: note\nlayer: team\n---\ntext {n}"),
        )
    };
    let notes: Vec<(String, String)> = (0..250).map(note).collect();
    let notes: Vec<(&str, &str)> = notes
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    import(&service, ADMIN, "", archive(&notes)?).await?.expect(200)?;
    let delete = service
        .request(ADMIN, Method::DELETE, "/knowledge/n/007.md")
        .header("If-Match", "*");
    send(delete).await?.expect(204)?;
    let found = files(&export(&service, ADMIN, "").await?)?;
    ensure!(
        found.len() == 249 && found.iter().map(|(name, _)| name).is_sorted(),
        "{} files",
        found.len()
    );
    ensure!(
        found.iter().all(|(name, _)| name != "n/007.md"),
        "a deleted item went out"
    );
    ensure!(found[248].1.ends_with("\n\ntext 249\n"), "{}", found[248].1);
    Ok(())
}

#[tokio::test]
async fn a_bad_file_refuses_the_whole_archive_and_is_named() -> Result<()> {
    let service = Service::start().await?;
    let note = "---\nkind: note\nlayer: team\n---\ntext";
    let bad = archive(&[
        ("a.md", note),
        ("b.md", "---\nkind: adr\nlayer: team\n---\n# No sections\n"),
        ("A.md", note),
        (
            "c.md",
            "---\nkind: note\nlayer: team\nsupersedes: c.md\nstatus: accepted\n---\ntext",
        ),
        ("d.md", "---\nkind: [\n---\ntext"),
    ])?;
    let refused = import(&service, ADMIN, "", bad).await?;
    refused.expect_problem(409, "IMPORT_REFUSED")?;
    let told = faults(&refused);
    ensure!(
        told.keys().copied().collect::<Vec<_>>() == ["a.md", "b.md", "c.md", "d.md"],
        "{}",
        refused.text
    );
    ensure!(
        told["b.md"].contains("consequences") && told["a.md"].contains("collides"),
        "{}",
        refused.text
    );
    let mut link = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    link.append_link(&mut header, "a.md", "/etc/passwd")?;
    let refused = import(&service, ADMIN, "", link.into_inner()?).await?;
    refused.expect_problem(422, "INVALID_ARCHIVE")?;
    ensure!(faults(&refused).contains_key("a.md"), "{}", refused.text);
    let refused = import(&service, ADMIN, "", b"no archive".repeat(200)).await?;
    refused.expect_problem(422, "INVALID_ARCHIVE")?;
    let numbered: Vec<String> = (0..2001).map(|n| format!("{n}.md")).collect();
    let much: Vec<(&str, &str)> = numbered.iter().map(|name| (name.as_str(), "x")).collect();
    import(&service, ADMIN, "", archive(&much)?)
        .await?
        .expect_problem(413, "PAYLOAD_TOO_LARGE")?;
    let plain = service.request(ADMIN, Method::POST, "/knowledge/import").body("a");
    send(plain).await?.expect_problem(415, "UNSUPPORTED_MEDIA_TYPE")?;
    let outside = import(&service, ADMIN, "folder=../x", archive(&[])?).await?;
    outside.expect_problem(422, "INVALID_PATH")?;
    let unknown = import(&service, ADMIN, "existing=burn", archive(&[])?).await?;
    unknown.expect_problem(400, "INVALID_PARAMETER")?;
    ensure!(
        names(&export(&service, ADMIN, "").await?)?.is_empty(),
        "something was written"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_there_is_kept_replaced_or_a_reason_to_refuse() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "a.md", "old").await?.expect(201)?;
    let new = || archive(&[("a.md", "---\nkind: note\nlayer: team\n---\nnew")]);
    let refused = import(&service, ADMIN, "", new()?).await?;
    refused.expect_problem(409, "IMPORT_REFUSED")?;
    let content =
        async || -> Result<Value> { Ok(service.get(ADMIN, "/knowledge/a.md").await?.body["content"].clone()) };
    let kept = import(&service, ADMIN, "existing=keep", new()?).await?;
    ensure!(
        kept.body["unchanged"] == 1 && content().await? == "old\n",
        "{}",
        kept.text
    );
    let replaced = import(&service, ADMIN, "existing=replace", new()?).await?;
    ensure!(
        replaced.body["changed"] == 1 && content().await? == "new\n",
        "{}",
        replaced.text
    );
    ensure!(replaced.body["items"][0]["version"] == 2, "{}", replaced.text);
    Ok(())
}

#[tokio::test]
async fn an_import_does_what_its_caller_may_do() -> Result<()> {
    let service = Service::start().await?;
    let accepted = || archive(&[("a.md", "---\nkind: note\nlayer: team\nstatus: accepted\n---\ntext")]);
    let viewer = As("acme", "vic", "Viewer");
    import(&service, viewer, "", accepted()?)
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let refused = import(&service, DEVELOPER, "", accepted()?).await?;
    refused.expect_problem(409, "IMPORT_REFUSED")?;
    ensure!(faults(&refused)["a.md"].contains("roles"), "{}", refused.text);
    // A draft of somebody else's is in the way, and is not told of.
    service.note(ADMIN, "b.md", "secret").await?.expect(201)?;
    let mine = archive(&[("b.md", "---\nkind: note\nlayer: team\n---\nmine")])?;
    for existing in ["refuse", "keep", "replace"] {
        let refused = import(&service, DEVELOPER, &format!("existing={existing}"), mine.clone()).await?;
        refused.expect_problem(409, "IMPORT_REFUSED")?;
        ensure!(faults(&refused)["b.md"].contains("collides"), "{}", refused.text);
    }
    Ok(())
}

#[tokio::test]
async fn of_too_many_archives_at_once_some_are_told_to_come_back() -> Result<()> {
    let service = Service::start().await?;
    let address = service.url.trim_start_matches("http://");
    let head = format!(
        "POST /api/v1/knowledge/import HTTP/1.1\r\nHost: {address}\r\nX-Tenant-ID: acme\r\nContent-Type: {TAR}\r\n\
         Content-Length: 100000\r\n\r\n"
    );
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut connection = tokio::net::TcpStream::connect(address).await?;
        connection.write_all(head.as_bytes()).await?;
        slow.push(connection);
    }
    wait_until("all places are taken", async || {
        let refused = import(&service, ADMIN, "", archive(&[])?).await?;
        Ok(refused.expect_problem(503, "OVERLOADED").is_ok())
    })
    .await?;
    // Who hangs up gives its place back.
    drop(slow);
    wait_until("there is a place again", async || {
        Ok(import(&service, ADMIN, "", archive(&[])?).await?.status == 200)
    })
    .await
}

#[tokio::test]
async fn an_import_keeps_its_place_until_it_is_stored() -> Result<()> {
    let service = Service::start().await?;
    service
        .note(ADMIN, "a.md", "the tenant has a head")
        .await?
        .expect(201)?;
    let places = || service.state.imports.available_permits();
    let all = places();
    let mut held = service.root.begin().await?;
    sqlx::query("select from knowledge.heads for update")
        .execute(&mut *held)
        .await?;
    let archive = archive(&[("b.md", "---\nkind: note\nlayer: team\n---\ntext")])?;
    let storing = async {
        let imported = import(&service, ADMIN, "", archive).await?;
        imported.expect(200)
    };
    let looking = async {
        wait_until("the archive is read, and waits to be stored", async || {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_locks l join pg_database d on d.oid = l.database or l.database is null
                 where not l.granted and d.datname = current_database()
                   and l.pid in (select pid from pg_stat_activity where datname = current_database())",
            )
            .fetch_one(&service.root)
            .await?;
            Ok(waiting > 0)
        })
        .await?;
        ensure!(places() == all - 1, "{} of {all} places", places());
        held.rollback().await?;
        Ok(())
    };
    tokio::try_join!(storing, looking)?;
    ensure!(places() == all, "the place was not given back");
    Ok(())
}

#[tokio::test]
async fn of_too_many_exports_at_once_some_are_told_to_come_back() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "a.md", "text").await?.expect(201)?;
    let exports = &service.state.exports;
    let taken: Vec<_> = ["acme", "globex", "initech"]
        .iter()
        .flat_map(|name| std::iter::repeat_n(*name, 3))
        .map(|name| Ok(exports.take(&TenantId::parse(name)?)))
        .collect::<Result<_>>()?;
    ensure!(exports.taken() == 8, "{} are taken", exports.taken());
    let request = service.request(ADMIN, Method::GET, "/knowledge/").header("Accept", TAR);
    send(request).await?.expect_problem(503, "OVERLOADED")?;
    drop(taken);
    export(&service, ADMIN, "").await?;
    wait_until("the place is given back", async || Ok(exports.taken() == 0)).await
}
