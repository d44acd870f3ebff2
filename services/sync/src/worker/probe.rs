//! Points that a job passes, for tests that kill or stop a worker there.
//!
//! The binary passes none; a test passes a function that may wait for ever. What a crash leaves behind does not depend on
//! how the process ended, so dropping the driving future at a point is a crash there.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A place between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// The job is claimed.
    Claimed,
    /// A page is read, nothing recorded.
    PageRead,
    /// What will be asked of the target is recorded, nothing asked.
    Intended,
    /// One item is delivered or removed, and not recorded.
    Delivered,
    /// All items of the batch are, and none is recorded.
    BatchDelivered,
    /// The batch is committed.
    Committed,
    /// All is done but the end.
    Done,
}

/// All of them, in the order in which a batch passes them.
pub const POINTS: [Point; 7] = [
    Point::Claimed,
    Point::PageRead,
    Point::Intended,
    Point::Delivered,
    Point::BatchDelivered,
    Point::Committed,
    Point::Done,
];

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Called at each point; the job goes on when its future is ready.
#[derive(Clone, Default)]
pub struct Probe(Option<Arc<dyn Fn(Point) -> Waiting + Send + Sync>>);

impl Probe {
    /// Makes a probe of a function.
    pub fn new(reach: impl Fn(Point) -> Waiting + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(reach)))
    }

    /// Tells that a point is reached.
    pub async fn reach(&self, point: Point) {
        if let Some(reach) = &self.0 {
            reach(point).await;
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Probe(set)" } else { "Probe(none)" })
    }
}
