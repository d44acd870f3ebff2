//! Many writers at once.

use futures::future::join_all;
use qdrant_client::qdrant::Filter;

use crate::{
    ground::{memory, on_collection, stamp_of},
    guard::older_than,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_of_an_id_converge_to_the_highest_stamp() {
    on_collection(|ground| async move {
        let stamps =
            (1..=4_i64).flat_map(|generation| (1..=15).map(move |version| (generation, version)));
        let mut stamps: Vec<_> = stamps.collect();
        // Neither sorted nor reversed, and the same in every run: 37 has no factor in common with 60.
        stamps = (0..stamps.len())
            .map(|n| stamps[n * 37 % stamps.len()])
            .collect();
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
        let found: Vec<_> = ground
            .all(Filter::default())
            .await
            .iter()
            .map(stamp_of)
            .collect();
        assert_eq!(found, [(4, 15), (4, 15)]);
    })
    .await;
}
