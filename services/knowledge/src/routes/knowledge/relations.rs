//! What an item is related to, and how to get there.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use aeterna_kit::problem::{Code, Problem};
use aeterna_policy::rbac::action;

use super::get::Asked;
use crate::graph::Age;
use crate::graph::one::Reached;
use crate::item::Stored;
use crate::permissions::about;
use crate::store::{self, Named};

/// Steps at most.
const DEEPEST: u8 = 5;

/// How long the graph of a large tenant may take to be built; a little of the request's deadline is left for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an item is related to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Relations {
    /// The item's path.
    pub path: String,
    /// The nearest first, then the most strongly tied; each item once.
    pub relations: Vec<Related>,
    /// There is more than was asked for.
    pub truncated: bool,
    /// The graph could not be had: these are direct neighbours only, and links by name are missing.
    pub degraded: bool,
}

/// A related item.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Related {
    /// Its path.
    pub path: String,
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: String,
    /// Its layer.
    pub layer: String,
    /// Its status.
    pub status: String,
    /// How many steps away.
    pub depth: usize,
    /// The shortest way to it, step by step; the last leads to it.
    pub via: Vec<Step>,
}

/// A step from one item to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What ties them: `link`, `citation`, `supersedes`, or `coUse`, for what several contexts told together.
    pub relation: String,
    /// Who says so: `out` the one that the step begins at, `in` the one that it leads to, `both` neither.
    pub direction: String,
    /// Where it leads.
    pub path: String,
}

/// Items that are looked at where policies may hide some.
const REACH: usize = 1000;

/// Finds what an item is related to.
pub(super) async fn find(asked: &Asked<'_>, stored: &Stored) -> Result<Relations, Problem> {
    if stored.deleted {
        let detail = format!("the item at {} was deleted", stored.path);
        return Err(Problem::new(Code::KnowledgeDeleted, detail));
    }
    let limit = usize::from(asked.limit()?);
    let depth = match asked.options.depth.unwrap_or(1) {
        depth @ 1..=DEEPEST => i32::from(depth),
        _ => return Err(Problem::field(Code::InvalidParameter, "depth", "depth is 1 to 5")),
    };
    let (pool, scope) = (&asked.state.pool, &asked.by.scope);
    let (from, reader) = (stored.id, store::reader(&asked.by.rights).map(str::to_owned));
    // One more tells whether there is more; where policies may hide some, how many there are is not known before.
    let is_selective = asked.by.judge.is_selective();
    let reach = if is_selective { limit.max(REACH) } else { limit };
    let many = i32::try_from(reach + 1).unwrap_or(i32::MAX);
    let question = move |graph: &crate::graph::one::Graph| graph.reach(from, reader.as_deref(), depth, many);
    let reached = asked.state.graphs.ask(pool, scope, Age::Now, PATIENCE, question).await;
    let degraded = reached.is_none();
    let mut reached = match reached {
        Some(reached) => reached,
        None => direct(asked, from, i64::from(many)).await?,
    };
    let is_more = reached.len() > limit;
    reached.truncate(reach);
    let ids: Vec<Uuid> = reached.iter().map(|one| one.id).collect();
    let mut named = store::names(pool, scope, &asked.by.rights, &ids).await?;
    named.retain(|one| {
        let what = [one.kind.as_str(), &one.layer, &one.status];
        asked.by.judge.allows(about(action::KNOWLEDGE_READ, &one.path, what))
    });
    let mut relations = show(from, &reached, &named);
    let truncated = if is_selective { relations.len() > limit } else { is_more };
    relations.truncate(limit);
    Ok(Relations {
        path: stored.path.clone(),
        relations,
        truncated,
        degraded,
    })
}

async fn direct(asked: &Asked<'_>, from: Uuid, limit: i64) -> Result<Vec<Reached>, Problem> {
    let (pool, scope) = (&asked.state.pool, &asked.by.scope);
    let found = store::neighbours(pool, scope, &asked.by.rights, from, limit).await?;
    let reached = found.into_iter().map(|one| Reached {
        id: one.id,
        depth: 1,
        came: from,
        relation: one.relation,
        direction: one.direction,
    });
    Ok(reached.collect())
}

/// Puts ways together. Whatever the graph says: an item that is not there for the reader is not shown, nor is a way over it.
fn show(from: Uuid, reached: &[Reached], named: &[Named]) -> Vec<Related> {
    let named: HashMap<Uuid, &Named> = named.iter().map(|one| (one.id, one)).collect();
    let mut ways: HashMap<Uuid, Vec<Step>> = HashMap::from([(from, Vec::new())]);
    let mut related = Vec::with_capacity(reached.len());
    for one in reached {
        let (Some(item), Some(before)) = (named.get(&one.id), ways.get(&one.came)) else {
            continue;
        };
        let mut via = before.clone();
        via.push(Step {
            relation: one.relation.clone(),
            direction: one.direction.clone(),
            path: item.path.clone(),
        });
        ways.insert(one.id, via.clone());
        related.push(Related {
            path: item.path.clone(),
            title: item.title.clone(),
            kind: item.kind.clone(),
            layer: item.layer.clone(),
            status: item.status.clone(),
            depth: via.len(),
            via,
        });
    }
    related
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_may_not_see_is_not_shown_nor_what_lies_behind_it() {
        let ids: Vec<Uuid> = (0..4).map(|_| Uuid::new_v4()).collect();
        let step = |to: usize, came: usize, depth| Reached {
            id: ids[to],
            depth,
            came: ids[came],
            relation: "link".to_owned(),
            direction: "out".to_owned(),
        };
        let named = |at: usize| Named {
            id: ids[at],
            path: at.to_string(),
            title: String::new(),
            kind: String::new(),
            layer: String::new(),
            status: String::new(),
        };
        let reached = [step(1, 0, 1), step(2, 1, 2), step(3, 2, 3)];
        let all = show(ids[0], &reached, &[named(1), named(2), named(3)]);
        let way: Vec<&str> = all[2].via.iter().map(|step| step.path.as_str()).collect();
        assert_eq!((way, all[2].depth), (vec!["1", "2", "3"], 3));
        let some = show(ids[0], &reached, &[named(1), named(3)]);
        assert_eq!(some.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["1"]);
    }
}
