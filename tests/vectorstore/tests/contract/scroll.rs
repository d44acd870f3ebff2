//! Listing points in the order of their ids.

use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, Filter, GetPointsBuilder, PointId, ScrollPointsBuilder, point_id::PointIdOptions,
};
use uuid::Uuid;

use crate::ground::{Ground, memory, on_collection};

/// Walks over all pages and returns the ids as text.
async fn walk(ground: &Ground, filter: Filter, page: u32) -> Vec<String> {
    let mut seen = Vec::new();
    let mut offset: Option<PointId> = None;
    loop {
        let mut scroll = ScrollPointsBuilder::new(&ground.collection)
            .filter(filter.clone())
            .limit(page);
        if let Some(offset) = offset {
            scroll = scroll.offset(offset);
        }
        let answer = ground.client.scroll(scroll).await.unwrap();
        assert!(answer.result.len() <= page as usize);
        seen.extend(answer.result.into_iter().map(|point| text(&point.id.unwrap())));
        offset = answer.next_page_offset;
        if offset.is_none() {
            return seen;
        }
    }
}

fn text(id: &PointId) -> String {
    match &id.point_id_options {
        Some(PointIdOptions::Uuid(uuid)) => uuid.clone(),
        Some(PointIdOptions::Num(number)) => number.to_string(),
        None => panic!("no id"),
    }
}

#[tokio::test]
async fn uuids_come_in_the_order_of_their_bytes_page_by_page() {
    on_collection(|ground| async move {
        let mut ids: Vec<Uuid> = (0..57).map(|_| Uuid::new_v4()).collect();
        let points = ids.iter().enumerate().map(|(n, id)| {
            let tenant = if n % 3 == 0 { "a" } else { "b" };
            memory(id.to_string(), tenant, 1, 1)
        });
        ground.put(points.collect()).await;
        let of_a: Vec<Uuid> = ids.iter().copied().step_by(3).collect();
        ids.sort_unstable();
        let expected: Vec<_> = ids.iter().map(Uuid::to_string).collect();
        for page in [1, 10, 19, 57, 100] {
            assert_eq!(walk(&ground, Filter::default(), page).await, expected, "{page}");
        }
        let mut expected: Vec<_> = of_a.iter().map(Uuid::to_string).collect();
        expected.sort_unstable();
        let filter = Filter::must([Condition::matches("tenant", "a".to_owned())]);
        assert_eq!(walk(&ground, filter, 4).await, expected);
    })
    .await;
}

#[tokio::test]
async fn numbers_come_before_uuids() {
    on_collection(|ground| async move {
        let uuid = Uuid::from_u128(1).to_string();
        let points = vec![
            memory(uuid.clone(), "a", 1, 1),
            memory(256, "a", 1, 1),
            memory(3, "a", 1, 1),
        ];
        ground.put(points).await;
        let expected = ["3".to_owned(), "256".to_owned(), uuid];
        assert_eq!(walk(&ground, Filter::default(), 2).await, expected);
    })
    .await;
}

#[tokio::test]
async fn an_offset_is_the_first_point_of_its_page_whether_it_exists_or_not() {
    on_collection(|ground| async move {
        ground.put([1, 3, 5].map(|id| memory(id, "a", 1, 1)).to_vec()).await;
        for (offset, expected) in [(3, &["3", "5"][..]), (2, &["3", "5"]), (6, &[])] {
            let scroll = ScrollPointsBuilder::new(&ground.collection).offset(offset);
            let page = ground.client.scroll(scroll).await.unwrap().result;
            let ids: Vec<_> = page.iter().map(|point| text(point.id.as_ref().unwrap())).collect();
            assert_eq!(ids, expected, "{offset}");
        }
    })
    .await;
}

#[tokio::test]
async fn counting_is_exact() {
    on_collection(|ground| async move {
        let points = (0..1234).map(|id| memory(id, if id < 34 { "a" } else { "b" }, 1, 1));
        ground.put(points.collect()).await;
        let count = async |filter| {
            let count = CountPointsBuilder::new(&ground.collection).exact(true).filter(filter);
            ground.client.count(count).await.unwrap().result.unwrap().count
        };
        assert_eq!(count(Filter::default()).await, 1234);
        let of_a = Filter::must([Condition::matches("tenant", "a".to_owned())]);
        assert_eq!(count(of_a).await, 34);
    })
    .await;
}

#[tokio::test]
async fn points_are_read_by_id_and_unknown_ids_are_left_out() {
    on_collection(|ground| async move {
        ground.put([1, 2].map(|id| memory(id, "a", 1, 1)).to_vec()).await;
        let ids: Vec<PointId> = vec![2.into(), 7.into()];
        let get = GetPointsBuilder::new(&ground.collection, ids)
            .with_payload(true)
            .with_vectors(true);
        let points = ground.client.get_points(get).await.unwrap().result;
        assert_eq!(points.len(), 1);
        assert_eq!(text(points[0].id.as_ref().unwrap()), "2");
        assert_eq!(points[0].payload.len(), 3);
        assert!(points[0].vectors.is_some());
    })
    .await;
}
