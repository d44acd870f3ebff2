//! Many writers at once.

use futures::future::join_all;
use qdrant_client::qdrant::{Filter, QueryPointsBuilder};

use crate::{
    ground::{VECTOR, memory, on_collection, stamp_of},
    guard::older_than,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_of_an_id_converge_to_the_highest_stamp() {
    on_collection(|ground| async move {
        let stamps = (1..=4_i64).flat_map(|generation| (1..=15).map(move |version| (generation, version)));
        let mut stamps: Vec<_> = stamps.collect();
        // Neither sorted nor reversed, and the same in every run: 37 has no factor in common with 60.
        stamps = (0..stamps.len()).map(|n| stamps[n * 37 % stamps.len()]).collect();
        let writers = stamps.chunks(10).map(|own| {
            let (ground, own) = (ground.clone(), own.to_vec());
            tokio::spawn(async move {
                for (generation, version) in own {
                    let ids = [1, 2];
                    let points = ids.map(|id| memory(id, "a", generation, version)).to_vec();
                    let guards = ids.map(|id| older_than(id, "a", generation, version));
                    ground.put_guarded(points, Filter::should(guards)).await;
                }
            })
        });
        for done in join_all(writers.collect::<Vec<_>>()).await {
            done.unwrap();
        }
        let found: Vec<_> = ground.all(Filter::default()).await.iter().map(stamp_of).collect();
        assert_eq!(found, [(4, 15), (4, 15)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn searches_go_on_while_points_are_written_and_only_see_whole_points() {
    on_collection(|ground| async move {
        let writer = ground.clone();
        let page = |version: i64| (0..200).map(|id| memory(id, "a", version, version)).collect();
        ground.put(page(0)).await;
        let writing = tokio::spawn(async move {
            for version in 1..=20 {
                writer.put(page(version)).await;
            }
        });
        let mut seen = 0;
        while !writing.is_finished() {
            let query = QueryPointsBuilder::new(&ground.collection).query(vec![1.0; 4]);
            let query = query.using(VECTOR).limit(50).with_payload(true);
            let hits = ground.client.query(query).await.unwrap().result;
            assert_eq!(hits.len(), 50);
            assert!(
                hits.iter()
                    .all(|hit| hit.payload["generation"] == hit.payload["version"])
            );
            seen += 1;
        }
        writing.await.unwrap();
        assert!(seen > 0);
    })
    .await;
}
