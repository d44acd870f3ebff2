//! What only the stand-in can show: what it does not implement, keys, and survival of a kill.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command},
    sync::Arc,
};

use aeterna_vectorstore::Server;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, DeletePointsBuilder, FacetCountsBuilder, Filter, GeoPoint, GeoRadius, PointId,
};
use tokio::time::timeout;
use tonic::Code;

use crate::{
    ground::{DEADLINE, Directory, Ground, client, memory, on_stand_in},
    refusals::refused,
};

#[tokio::test]
async fn an_unsupported_call_or_filter_is_refused_by_name() {
    on_stand_in(async |ground, _server, _| {
        let facet = FacetCountsBuilder::new(&ground.collection, "tenant");
        let words = "/qdrant.Points/Facet is not implemented";
        refused(ground.client.facet(facet).await, Code::Unimplemented, words);
        refused(
            ground.client.list_snapshots(&ground.collection).await,
            Code::Unimplemented,
            "Snapshots",
        );
        let circle = GeoRadius {
            center: Some(GeoPoint { lon: 0.0, lat: 0.0 }),
            radius: 1.0,
        };
        for filter in [
            Filter::must([Condition::geo_radius("where", circle)]),
            Filter::should([Condition::matches_text("text", "word")]),
            Filter::must_not([Condition::nested("list", Filter::default())]),
        ] {
            let count = CountPointsBuilder::new(&ground.collection).filter(filter);
            refused(ground.client.count(count).await, Code::Unimplemented, "filtering");
        }
    })
    .await;
}

#[tokio::test]
async fn without_the_right_key_only_the_health_check_is_answered() {
    let directory = Directory::new();
    let server = Server::open(&directory.0).unwrap().with_api_key("right");
    let server = server.start().await.unwrap();
    for key in [None, Some("wrong"), Some("right but longer")] {
        let client = client(&server.url(), key.map(str::to_owned));
        refused(client.list_collections().await, Code::Unauthenticated, "API key");
        assert_eq!(client.health_check().await.unwrap().version, "1.19.0");
    }
    let client = client(&server.url(), Some("right".to_owned()));
    assert!(client.list_collections().await.unwrap().collections.is_empty());
    server.stop().await.unwrap();
}

/// The real binary; killed when dropped.
struct Process(Child);

impl Process {
    fn start(directory: &Path, address: SocketAddr) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aeterna-vectorstore"));
        command
            .arg("--data")
            .arg(directory)
            .arg("--listen")
            .arg(address.to_string())
            .env("RUST_LOG", "warn");
        Self(command.spawn().unwrap())
    }

    /// `kill -9` by the process id, and its end.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

async fn connect(address: SocketAddr) -> Ground {
    let ground = Ground {
        client: Arc::new(client(&format!("http://{address}"), None)),
        collection: "memories".to_owned(),
    };
    let ready = async {
        while ground.client.health_check().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, ready).await.unwrap();
    ground
}

#[tokio::test]
async fn every_acknowledged_write_is_there_after_a_kill() {
    let directory = Directory::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut process = Process::start(&directory.0, address);
    let ground = connect(address).await;
    ground.create().await;
    // A stream of writes; the process is killed in the middle of it.
    let (writer, own) = (ground.clone(), tokio::sync::watch::channel(0_u64));
    let (acknowledged, mut seen) = own;
    let writing = tokio::spawn(async move {
        for id in 1.. {
            if writer
                .client
                .upsert_points(writer.upsert(vec![memory(id, "a", 1, 1)]))
                .await
                .is_err()
            {
                return;
            }
            acknowledged.send_replace(id);
        }
    });
    seen.wait_for(|count| *count >= 200).await.unwrap();
    process.kill();
    writing.await.unwrap();
    let count = *seen.borrow();

    let mut process = Process::start(&directory.0, address);
    let ground = connect(address).await;
    let of_a = Filter::must([Condition::matches("tenant", "a".to_owned())]);
    let found = ground.numbers(of_a.clone()).await;
    // The one write that was under way may have been applied or not.
    assert!(found.starts_with(&(1..=count).collect::<Vec<_>>()), "{count} {found:?}");
    assert!(found.len() as u64 <= count + 1);

    // The directory is as good as before: a second kill changes nothing.
    process.kill();
    let _process = Process::start(&directory.0, address);
    assert_eq!(connect(address).await.numbers(of_a).await, found);
}

#[tokio::test]
async fn a_termination_signal_ends_the_process_cleanly_under_an_open_connection() {
    let directory = Directory::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut process = Process::start(&directory.0, address);
    let ground = connect(address).await;
    ground.create().await;
    let pid = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || process.0.wait().unwrap());
    assert!(timeout(DEADLINE, ended).await.unwrap().unwrap().success());
    assert!(ground.client.health_check().await.is_err());
}

#[tokio::test]
async fn deletions_indexes_and_vectors_survive_a_restart_and_a_dropped_collection_stays_dropped() {
    on_stand_in(async |ground, server, directory| {
        ground.put([1, 2, 3].map(|id| memory(id, "a", 1, 1)).to_vec()).await;
        let gone = DeletePointsBuilder::new(&ground.collection)
            .points([PointId::from(2)])
            .wait(true);
        ground.client.delete_points(gone).await.unwrap();
        let other = Ground {
            collection: "other".to_owned(),
            ..ground.clone()
        };
        other.create().await;
        other.put(vec![memory(7, "a", 1, 1)]).await;
        other.client.delete_collection("other").await.unwrap();
        let before = ground.all(Filter::default()).await;
        server.stop().await.unwrap();

        let server = Server::open(&directory).unwrap().start().await.unwrap();
        let ground = Ground::of(&server);
        assert_eq!(ground.all(Filter::default()).await, before);
        let info = ground.client.collection_info(&ground.collection).await.unwrap();
        assert_eq!(info.result.unwrap().payload_schema["tenant"].points, Some(2));
        let other = Ground {
            collection: "other".to_owned(),
            ..ground.clone()
        };
        assert!(!ground.client.collection_exists("other").await.unwrap());
        other.create().await;
        assert!(other.numbers(Filter::default()).await.is_empty());
        server.stop().await.unwrap();
    })
    .await;
}
