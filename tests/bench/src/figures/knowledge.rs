//! The knowledge service: reading an item, searching 50,000, and writing one.
//!
//! Ours: `GET /api/v1/knowledge/{path}`, `POST /api/v1/knowledge/search` and `POST /api/v1/knowledge`. Bare: the store's own
//! operation behind each, with its answer decoded, through a pool of as many connections. Writers of one tenant stand in a
//! row at its head, on both sides.

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use aeterna_policy::guard::Judge;
use anyhow::{Result, ensure};
use knowledge_service::access::Rights;
use knowledge_service::archive::{MEMBERS, Member};
use knowledge_service::by::By;
use knowledge_service::item::change::Precondition;
use knowledge_service::item::draft::Draft;
use knowledge_service::item::{Kind, Layer, Status};
use knowledge_service::path::ItemPath;
use knowledge_service::query;
use knowledge_service::store::{self, Existing, Next, Search, Wanted};
use serde_json::json;
use sqlx::PgPool;

use super::served::{Expected, Served};
use crate::corpus::pick;
use crate::ground::Ground;
use crate::http::render;
use crate::rounds::{CLIENTS, Client, alternate, run};
use crate::table::Row;

/// Items of the tenant that is read and searched.
const ITEMS: u64 = 50_000;

/// Tasks of a round.
const READS: u64 = 8_000;
const SEARCHES: u64 = 1_000;
const WRITES: u64 = 1_000;

/// Measures all three.
pub async fn measure(ground: &Ground) -> Result<Vec<Row>> {
    for set in knowledge_service::definition().migrations {
        set.run(&ground.pool).await?;
    }
    let served = Served::start(ground, "knowledge-service", &[]).await?;
    let bare = Bare {
        pool: ground.pool.clone(),
        by: By {
            scope: TenantScope::for_worker(TenantId::parse("knowing")?),
            rights: Rights::from_roles("bench", &["TenantAdmin".to_owned()]),
            judge: Judge::default(),
        },
    };
    bare.fill(ground).await?;
    let mut rows = Vec::new();
    rows.extend(measure_read(&served, &bare).await?);
    rows.extend(measure_search(ground, &served, &bare).await?);
    rows.extend(measure_write(ground, &served, &bare).await?);
    Ok(rows)
}

fn path_of(n: u64) -> String {
    format!("bench/{}/{n}.md", n % 100)
}

async fn measure_read(served: &Served, bare: &Bare) -> Result<[Row; 2]> {
    let items = usize::try_from(ITEMS)?;
    let paths: Vec<String> = (0..READS)
        .map(|n| path_of(u64::try_from(pick(n, items)).unwrap_or_default()))
        .collect();
    let tenant = bare.by.scope.tenant().as_str();
    let requests: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| render("GET", &format!("/api/v1/knowledge/{path}"), tenant, ""))
        .collect();
    let expected = Expected {
        status: 200,
        part: "\"content\":",
    };
    let reads: Vec<Task> = paths
        .iter()
        .map(|path| Ok(Task::Read(ItemPath::parse(path)?)))
        .collect::<Result<_>>()?;
    let (ours, theirs) = alternate(
        async |_| run(served.callers(expected).await?, requests.clone()).await,
        async |_| run(vec![bare.clone(); CLIENTS], reads.clone()).await,
    )
    .await?;
    Ok(Row::endpoint("knowledge: GET one item", &ours, &theirs))
}

async fn measure_search(ground: &Ground, served: &Served, bare: &Bare) -> Result<Vec<Row>> {
    let queries = |round: usize| {
        let first = u64::try_from(round).unwrap_or_default() * SEARCHES;
        (first..first + SEARCHES)
            .map(|n| ground.corpus.query(n))
            .collect::<Vec<String>>()
    };
    let expected = Expected {
        status: 200,
        part: "\"items\":[{",
    };
    let requests = |round| {
        let request = |query: String| {
            let body = json!({"query": query}).to_string();
            render(
                "POST",
                "/api/v1/knowledge/search",
                bare.by.scope.tenant().as_str(),
                &body,
            )
        };
        queries(round).into_iter().map(request).collect::<Vec<_>>()
    };
    let (ours, theirs) = alternate(
        async |round| run(served.callers(expected).await?, requests(round)).await,
        async |round| {
            run(
                vec![bare.clone(); CLIENTS],
                queries(round).into_iter().map(Task::Search).collect(),
            )
            .await
        },
    )
    .await?;
    let mut rows = Vec::from(Row::endpoint("knowledge: search 50,000 items", &ours, &theirs));
    let mut alone = served.callers(expected).await?;
    alone.truncate(1);
    let took = run(alone, requests(0)).await?.latencies();
    rows.push(Row::limit("  one client alone, p50", took.median(), 50.0, "ms"));
    Ok(rows)
}

async fn measure_write(ground: &Ground, served: &Served, bare: &Bare) -> Result<[Row; 2]> {
    let numbers = |half: usize| {
        let first = ITEMS + u64::try_from(half).unwrap_or_default() * WRITES;
        first..first + WRITES
    };
    let expected = Expected {
        status: 201,
        part: "\"version\":1",
    };
    let (ours, theirs) = alternate(
        async |round| {
            let request = |n| {
                let text = ground.corpus.text(n);
                let body = json!({"path": path_of(n), "content": text, "kind": "note", "layer": "team"}).to_string();
                render("POST", "/api/v1/knowledge", bare.by.scope.tenant().as_str(), &body)
            };
            run(
                served.callers(expected).await?,
                numbers(2 * round).map(request).collect(),
            )
            .await
        },
        async |round| {
            let task = |n| Ok(Task::Write(Box::new(wanted(ground, n)?)));
            let tasks = numbers(2 * round + 1).map(task).collect::<Result<_>>()?;
            run(vec![bare.clone(); CLIENTS], tasks).await
        },
    )
    .await?;
    Ok(Row::endpoint("knowledge: POST one item", &ours, &theirs))
}

fn wanted(ground: &Ground, n: u64) -> Result<Wanted> {
    let draft = Draft {
        kind: Some(Kind::Note),
        layer: Some(Layer::Team),
        ..Draft::new(ground.corpus.text(n))
    };
    Ok(Wanted {
        path: ItemPath::parse(&path_of(n))?,
        next: Next::Draft(Box::new(draft)),
        demanded: Precondition::Absent,
        message: None,
    })
}

/// What a client of the bare side does.
#[derive(Debug, Clone)]
enum Task {
    Read(ItemPath),
    Search(String),
    Write(Box<Wanted>),
}

#[derive(Debug, Clone)]
struct Bare {
    pool: PgPool,
    by: By,
}

impl Bare {
    /// Gives the tenant its items, as an import does it.
    async fn fill(&self, ground: &Ground) -> Result<()> {
        let member = |n| -> Result<Member> {
            let text = ground.corpus.text(n);
            Ok(Member {
                path: ItemPath::parse(&path_of(n))?,
                text: format!("---\nkind: note\nlayer: team\nstatus: accepted\n---\n{text}\n"),
            })
        };
        let members: Vec<Member> = (0..ITEMS).map(member).collect::<Result<_>>()?;
        for members in members.chunks(MEMBERS) {
            store::import(&self.pool, &self.by, members.to_vec(), Existing::Refuse).await?;
        }
        sqlx::query("analyze knowledge.items, knowledge.versions")
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

impl Client<Task> for Bare {
    async fn work(&mut self, task: &Task) -> Result<()> {
        match task {
            Task::Read(path) => {
                let found = store::fetch(&self.pool, &self.by.scope, path).await?;
                ensure!(found.is_some_and(|found| !found.deleted), "{path} is not there");
            }
            Task::Search(words) => {
                let search = Search {
                    query: query::parse(words)?,
                    statuses: [Status::Accepted, Status::Proposed]
                        .map(|status| status.as_str().to_owned())
                        .to_vec(),
                    // One more tells whether there is more, as in the service.
                    limit: 11,
                    ..Search::default()
                };
                let found = store::search(&self.pool, &self.by.scope, &self.by.rights, &search).await?;
                ensure!(!found.hits.is_empty(), "nothing is found for {words}");
            }
            Task::Write(wanted) => {
                let written = store::put(&self.pool, &self.by, Wanted::clone(wanted)).await?;
                ensure!(written.stored.version == 1, "{:?}", written.stored);
            }
        }
        Ok(())
    }
}
