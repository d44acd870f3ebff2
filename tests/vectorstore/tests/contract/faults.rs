//! Faults on purpose do what they say, and nothing without being asked.

use std::time::{Duration, Instant};

use aeterna_vectorstore::{LostReply, Op, Server, Target};
use qdrant_client::qdrant::{Filter, UpsertPoints};
use tokio::time::timeout;
use tonic::Code;

use crate::{
    ground::{DEADLINE, Ground, memory, on_stand_in},
    refusals::refused,
};

fn one(ground: &Ground, id: u64) -> UpsertPoints {
    ground.upsert(vec![memory(id, "a", 1, 1)])
}

/// Waits until the points are these.
async fn until(ground: &Ground, expected: &[u64]) {
    let reached = async {
        while ground.numbers(Filter::default()).await != expected {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, reached).await.unwrap();
}

#[tokio::test]
async fn a_failed_call_is_not_applied_and_the_next_one_is() {
    on_stand_in(async |ground, server, _| {
        server.faults().fail_next(Op::Upsert, Code::DeadlineExceeded);
        let answer = ground.client.upsert_points(one(&ground, 1)).await;
        refused(answer, Code::DeadlineExceeded, "on purpose");
        ground.put(vec![memory(2, "a", 1, 1)]).await;
        assert_eq!(ground.numbers(Filter::default()).await, [2]);
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_is_of_a_write_that_was_applied() {
    on_stand_in(async |ground, server, _| {
        server
            .faults()
            .drop_reply_after_apply(Op::Upsert, LostReply::As(Code::DeadlineExceeded));
        let answer = ground.client.upsert_points(one(&ground, 1)).await;
        refused(answer, Code::DeadlineExceeded, "on purpose");
        server
            .faults()
            .drop_reply_after_apply(Target::writes(), LostReply::Never);
        let ground = &ground;
        tokio::select! {
            answer = ground.client.upsert_points(one(ground, 2)) => panic!("{answer:?}"),
            () = until(ground, &[1, 2]) => {}
        }
    })
    .await;
}

#[tokio::test]
async fn a_held_write_lands_later_although_its_client_has_given_up() {
    on_stand_in(async |ground, server, _| {
        let mut held = server.faults().hold_next(Target::writes().of(&ground.collection));
        tokio::select! {
            answer = ground.client.upsert_points(one(&ground, 1)) => panic!("{answer:?}"),
            () = held.until_waiting(1) => {}
        }
        // A second write overtakes the held one.
        ground.put(vec![memory(2, "a", 1, 1)]).await;
        assert_eq!(ground.numbers(Filter::default()).await, [2]);
        held.release();
        until(&ground, &[1, 2]).await;
    })
    .await;
}

#[tokio::test]
async fn a_stall_slows_only_its_target() {
    on_stand_in(async |ground, server, _| {
        let delay = Duration::from_millis(300);
        server
            .faults()
            .stall(Target::from(Op::Upsert).of("elsewhere"), Duration::from_hours(1));
        server.faults().stall(Op::Upsert, delay);
        let start = Instant::now();
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        assert!(start.elapsed() >= delay);
        server.faults().clear();
    })
    .await;
}

#[tokio::test]
async fn a_server_stops_under_held_calls_and_serves_the_same_directory_and_port_again() {
    on_stand_in(async |ground, server, directory| {
        ground.put(vec![memory(1, "a", 1, 1)]).await;
        let address = server.address();
        let mut held = server.faults().hold(Op::Upsert);
        let (client, request) = (ground.client.clone(), one(&ground, 2));
        let waiting = tokio::spawn(async move { client.upsert_points(request).await });
        held.until_waiting(1).await;
        timeout(DEADLINE, server.stop()).await.unwrap().unwrap();
        assert!(waiting.await.unwrap().is_err());

        let server = Server::open(&directory).unwrap().start_at(address).await.unwrap();
        let ground = Ground::of(&server);
        assert_eq!(ground.numbers(Filter::default()).await, [1]);
        server.stop().await.unwrap();
    })
    .await;
}
