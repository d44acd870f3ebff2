//! Points that a move passes, for tests that kill or stop a relocator there.
//!
//! The binary passes none; a test passes a function that may wait for ever. What a crash leaves behind does not depend on
//! how the process ended, so dropping the driving future at a point is a crash there.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aeterna_tenancy::moves::Step;

/// A place between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// The step is about to work.
    Begin(Step),
    /// The step's work is done in the store, but not saved.
    Worked(Step),
    /// The progress is saved.
    Saved(Step),
    /// A page of the copy was applied, and is not saved.
    PageApplied,
    /// The fence is closed.
    FenceClosed,
    /// The last delta is applied, the fence is closed, the route not switched.
    DeltaApplied,
    /// The route is switched.
    Flipped,
    /// A run of a clean-up has deleted points, and is not recorded.
    CleanupDeleted,
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Called at each point; the move goes on when its future is ready.
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
