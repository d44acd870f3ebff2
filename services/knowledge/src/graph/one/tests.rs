use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::store::{Link, Node, Use};

/// The library that `make build` fetches.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let fetched = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fetch-duckdb.sh"))
        .output()
        .expect("a shell");
    let library = String::from_utf8(fetched.stdout).expect("a path");
    Engine::load(library.trim()).expect("DuckDB's library")
});

fn id(n: u8) -> Uuid {
    Uuid::from_u128(u128::from(n) + 1)
}

fn node(n: u8, path: &str) -> Node {
    Node {
        id: id(n),
        path: path.to_owned(),
        folded: path.to_lowercase(),
        status: "accepted".to_owned(),
        author: "ann".to_owned(),
        supersedes: None,
        deleted: false,
    }
}

fn link(from: u8, target: &str) -> Link {
    Link {
        item: id(from),
        kind: "link".to_owned(),
        target: target.to_owned(),
    }
}

fn graph(nodes: Vec<Node>, links: Vec<Link>, uses: Vec<Use>) -> Graph {
    let graph = Graph::create(&ENGINE).expect("a graph");
    let changes = Changes {
        head: 1,
        nodes,
        links,
        uses,
    };
    graph.apply(&changes).expect("applied");
    graph
}

/// A chain of seven, each linking to the next, and the last to the first.
fn circle() -> Graph {
    let nodes = (0..7).map(|n| node(n, &format!("f/Item{n}.md"))).collect();
    let links = (0..7).map(|n| link(n, &format!("f/item{}", (n + 1) % 7))).collect();
    graph(nodes, links, Vec::new())
}

fn ways(found: &[Reached]) -> Vec<(Uuid, i64, Uuid, &str, &str)> {
    found
        .iter()
        .map(|one| {
            (
                one.id,
                one.depth,
                one.came,
                one.relation.as_str(),
                one.direction.as_str(),
            )
        })
        .collect()
}

#[test]
fn links_lead_both_ways_and_each_item_comes_once_by_its_shortest_way() {
    let graph = circle();
    let near = graph.reach(id(0), None, 1, 10).expect("found");
    assert_eq!(
        ways(&near),
        [(id(1), 1, id(0), "link", "out"), (id(6), 1, id(0), "link", "in")]
    );
    let far = graph.reach(id(0), None, 5, 10).expect("found");
    let depths: Vec<(Uuid, i64)> = far.iter().map(|one| (one.id, one.depth)).collect();
    assert_eq!(
        depths,
        [(id(1), 1), (id(6), 1), (id(2), 2), (id(5), 2), (id(3), 3), (id(4), 3)]
    );
    let some = graph.reach(id(0), None, 5, 3).expect("found");
    assert_eq!(ways(&some), ways(&far[..3]));
}

#[test]
fn targets_are_paths_paths_without_extension_and_names() {
    let mut nodes = vec![
        node(0, "from.md"),
        node(1, "a/b.md"),
        node(2, "plain"),
        node(3, "x/Name.md"),
        node(4, "x/y/name.md"),
    ];
    nodes[0].supersedes = Some("x/y/name.md".to_owned());
    let cited = Link {
        kind: "citation".to_owned(),
        ..link(0, "name")
    };
    let links = vec![
        link(0, "a/b"),
        link(0, "plain"),
        link(0, "name"),
        link(0, "nowhere"),
        link(0, "from.md"),
        cited,
    ];
    let found = graph(nodes, links, Vec::new())
        .reach(id(0), None, 1, 10)
        .expect("found");
    let found: Vec<(Uuid, &str)> = found.iter().map(|one| (one.id, one.relation.as_str())).collect();
    // Of two of a name the shorter path; a citation by name is none.
    assert_eq!(
        found,
        [(id(1), "link"), (id(2), "link"), (id(3), "link"), (id(4), "supersedes")]
    );
}

#[test]
fn a_name_is_that_of_what_is_in_force_and_never_of_a_draft() {
    let mut nodes = vec![
        node(0, "from.md"),
        node(1, "x/retry.md"),
        node(2, "teams/retry.md"),
        node(3, "teams/blue/retry.md"),
    ];
    let named = |nodes: &[Node]| {
        let found = graph(nodes.to_vec(), vec![link(0, "retry")], Vec::new()).reach(id(0), None, 1, 10);
        found.expect("found").iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(named(&nodes), [id(1)]);
    nodes[1].status = "draft".to_owned();
    nodes[2].status = "deprecated".to_owned();
    assert_eq!(named(&nodes), [id(3)]);
    nodes[3].status = "proposed".to_owned();
    assert_eq!(named(&nodes), [id(3)]);
    nodes[3].status = "superseded".to_owned();
    assert_eq!(named(&nodes), [id(2)]);
}

#[test]
fn of_more_neighbours_than_are_shown_one_more_is_found() {
    let targets: Vec<u8> = (1..=210).collect();
    let nodes = targets.iter().map(|n| node(*n, &format!("n{n}.md")));
    let nodes = nodes.chain([node(0, "from.md")]).collect();
    let links = targets.iter().map(|n| link(0, &format!("n{n}"))).collect();
    let graph = graph(nodes, links, Vec::new());
    assert_eq!(graph.reach(id(0), None, 1, 201).expect("found").len(), 201);
}

#[test]
fn drafts_of_others_are_neither_shown_nor_passed() {
    let mut nodes: Vec<Node> = (0..3).map(|n| node(n, &format!("n{n}.md"))).collect();
    nodes[1].status = "draft".to_owned();
    let graph = graph(nodes, vec![link(0, "n1"), link(1, "n2")], Vec::new());
    for (reader, many) in [(None, 2), (Some("ann"), 2), (Some("ben"), 0)] {
        assert_eq!(
            graph.reach(id(0), reader, 5, 10).expect("found").len(),
            many,
            "{reader:?}"
        );
    }
    let near = |reader| graph.spread(&[(id(0), 1.0)], reader, 10).expect("found");
    // A draft is passed by its author, and told to nobody who did not ask for it.
    assert_eq!(near(Some("ann")).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(2)]);
    assert!(near(Some("ben")).is_empty());
}

#[test]
fn a_neighbour_gets_less_of_who_has_many_and_common_use_counts_from_the_second_time() {
    let nodes: Vec<Node> = (0..20).map(|n| node(n, &format!("n{n}.md"))).collect();
    let hub = (2..20)
        .map(|n| link(0, &format!("n{n}")))
        .chain([link(1, "n19")])
        .collect();
    let pair = |one, other, times| Use {
        one: id(one),
        other: id(other),
        times,
    };
    let graph = graph(nodes, hub, vec![pair(2, 3, 1), pair(4, 5, 2), pair(6, 7, 40)]);
    let score = |seed, of| {
        let found = graph.spread(&[(id(seed), 1.0)], None, 50).expect("found");
        found
            .into_iter()
            .find(|(other, _)| *other == id(of))
            .map_or(0.0, |(_, score)| score)
    };
    assert!(score(1, 19) > 2.0 * score(0, 19), "{} {}", score(1, 19), score(0, 19));
    // Over the hub, two steps, everybody gets a little; who was used together gets more.
    assert!((score(2, 3) - score(2, 8)).abs() < 1e-9 && score(4, 5) > score(4, 8) && score(6, 7) > score(4, 5));
    assert!(score(1, 1) == 0.0, "a seed gets its own back");
}

#[test]
fn what_was_deleted_is_gone_and_a_broken_graph_says_so() {
    let graph = circle();
    let gone = Node {
        deleted: true,
        ..node(1, "f/Item1.md")
    };
    let changes = Changes {
        head: 2,
        nodes: vec![gone],
        ..Changes::default()
    };
    graph.apply(&changes).expect("applied");
    assert_eq!(
        ways(&graph.reach(id(0), None, 1, 10).expect("found")),
        [(id(6), 1, id(0), "link", "in")]
    );
    graph.break_down().expect("broken");
    assert!(graph.reach(id(0), None, 1, 10).is_err() && graph.apply(&changes).is_err());
}

#[test]
fn a_graph_reads_no_file_and_knows_no_other() {
    let (one, other) = (circle(), graph(vec![node(0, "f/Item0.md")], Vec::new(), Vec::new()));
    assert!(other.reach(id(0), None, 5, 10).expect("found").is_empty());
    assert_eq!(one.reach(id(0), None, 5, 10).expect("found").len(), 6);
    let mut session = one.session().expect("a session");
    let setting = "select value::varchar from duckdb_settings() where name = $1::varchar";
    let limit = session.ask(setting, &[text(Some("memory_limit"))]).expect("a limit");
    let limit = string(&limit[0], 0, 0).expect("a text");
    assert!(limit.starts_with("256"), "{limit}");
    for reaching_out in [
        "select * from read_csv('/etc/hostname')",
        "attach '/tmp/other.db'",
        "copy nodes to '/tmp/nodes.csv'",
    ] {
        assert!(session.run(reaching_out).is_err(), "{reaching_out}");
    }
}

/// What an item says in one change: gone, or its links.
fn change() -> impl Strategy<Value = Vec<(u8, Option<Vec<u8>>)>> {
    let said = proptest::option::weighted(0.8, proptest::collection::vec(0_u8..6, 0..4));
    proptest::collection::btree_map(0_u8..6, said, 1..4).prop_map(|items| items.into_iter().collect())
}

fn told(items: &BTreeMap<u8, Option<Vec<u8>>>) -> Changes {
    let nodes = items.iter().map(|(n, said)| Node {
        deleted: said.is_none(),
        ..node(*n, &format!("n{n}.md"))
    });
    let links = items.iter().flat_map(|(from, said)| {
        let targets: std::collections::BTreeSet<u8> = said.iter().flatten().copied().collect();
        targets.into_iter().map(|to| link(*from, &format!("n{to}")))
    });
    Changes {
        head: 1,
        nodes: nodes.collect(),
        links: links.collect(),
        uses: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_graph_that_followed_every_change_is_the_one_that_is_built_at_the_end(changes in proptest::collection::vec(change(), 1..6)) {
        let (followed, mut last) = (graph(Vec::new(), Vec::new(), Vec::new()), BTreeMap::new());
        for change in changes {
            followed.apply(&told(&change.iter().cloned().collect())).expect("applied");
            last.extend(change);
        }
        let built = Graph::create(&ENGINE).expect("a graph");
        built.apply(&told(&last)).expect("applied");
        for from in last.keys() {
            let ask = |graph: &Graph| graph.reach(id(*from), None, 5, 50).expect("found");
            prop_assert_eq!(ask(&followed), ask(&built));
        }
    }
}
