//! The gRPC side: from a path to a function of [`crate::calls`].
//!
//! Routed by hand, because the generated traits would want a body for each of Qdrant's sixty calls. A call
//! passes the key check, the faults of a test, and then runs on a thread that may block. It runs in a task of its
//! own: a client that gives up does not stop a write half-way or before its turn.

use std::{
    convert::Infallible,
    marker::PhantomData,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;

use crate::{
    calls::{collections, points, query, read},
    error::CallError,
    faults::{Faults, LostReply},
    named::Named,
    op::Op,
    store::Store,
};

/// Larger than any page of points that is sent; tonic's own limit is 4 MiB.
const LARGEST_MESSAGE: usize = 64 << 20;

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Backend {
    /// Empty once the server has been stopped, so that the directory can be opened again.
    pub(crate) store: Arc<RwLock<Option<Store>>>,
    pub(crate) faults: Faults,
    pub(crate) stop: CancellationToken,
    pub(crate) api_key: Option<Arc<str>>,
}

/// Serves the paths of one of Qdrant's services, which `S` names.
pub(crate) struct Gateway<S> {
    backend: Backend,
    service: PhantomData<fn() -> S>,
}

impl<S> Gateway<S> {
    /// Serves from a backend.
    pub(crate) fn new(backend: &Backend) -> Self {
        Self {
            backend: backend.clone(),
            service: PhantomData,
        }
    }
}

impl<S> Clone for Gateway<S> {
    fn clone(&self) -> Self {
        Self::new(&self.backend)
    }
}

impl<S: NamedService> NamedService for Gateway<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Gateway<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let backend = self.backend.clone();
        Box::pin(async move { Ok(route(backend, request).await) })
    }
}

async fn route(backend: Backend, request: http::Request<Body>) -> http::Response<Body> {
    let path = request.uri().path();
    let Some(op) = Op::of_path(path) else {
        return Status::from(CallError::unsupported(path)).into_http();
    };
    if let Err(refused) = backend.check_key(op, request.headers()) {
        return refused.into_http();
    }
    match op {
        Op::Health => answer(backend, op, request, collections::health).await,
        Op::CreateCollection => answer(backend, op, request, collections::create).await,
        Op::DeleteCollection => answer(backend, op, request, collections::delete).await,
        Op::CollectionInfo => answer(backend, op, request, collections::info).await,
        Op::ListCollections => answer(backend, op, request, collections::list).await,
        Op::CollectionExists => answer(backend, op, request, collections::exists).await,
        Op::Upsert => answer(backend, op, request, points::upsert).await,
        Op::Delete => answer(backend, op, request, points::delete).await,
        Op::SetPayload => answer(backend, op, request, points::set_payload).await,
        Op::CreateFieldIndex => answer(backend, op, request, collections::create_index).await,
        Op::DeleteFieldIndex => answer(backend, op, request, collections::delete_index).await,
        Op::Get => answer(backend, op, request, read::get).await,
        Op::Scroll => answer(backend, op, request, read::scroll).await,
        Op::Query => answer(backend, op, request, query::query).await,
        Op::QueryBatch => answer(backend, op, request, query::query_batch).await,
        Op::Count => answer(backend, op, request, read::count).await,
    }
}

/// A function that answers one kind of call.
type Call<M, R> = fn(&Store, M) -> Result<R, CallError>;

async fn answer<M, R>(backend: Backend, op: Op, request: http::Request<Body>, call: Call<M, R>) -> http::Response<Body>
where
    M: Named + Message + Default + 'static,
    R: Message + Default + 'static,
{
    let service = tower::service_fn(move |request: Request<M>| {
        let backend = backend.clone();
        async move { backend.run(op, request.into_inner(), call).await }
    });
    Grpc::new(ProstCodec::<R, M>::default())
        .apply_max_message_size_config(Some(LARGEST_MESSAGE), Some(LARGEST_MESSAGE))
        .unary(service, request)
        .await
}

impl Backend {
    fn check_key(&self, op: Op, headers: &http::HeaderMap) -> Result<(), Status> {
        let Some(key) = &self.api_key else {
            return Ok(());
        };
        // As in Qdrant, a probe needs no key.
        if op == Op::Health {
            return Ok(());
        }
        let given = headers.get("api-key").map(http::HeaderValue::as_bytes);
        let bearer = headers.get("authorization").map(http::HeaderValue::as_bytes);
        let given = given.or_else(|| bearer?.strip_prefix(b"Bearer "));
        match given {
            None => Err(Status::unauthenticated(
                "Must provide an API key or an Authorization bearer token",
            )),
            Some(given) if is_same(given, key.as_bytes()) => Ok(()),
            Some(_) => Err(Status::unauthenticated("Invalid API key or JWT")),
        }
    }

    /// # Cancel safety
    /// The call goes on when its answer is no longer waited for.
    async fn run<M, R>(self, op: Op, message: M, call: Call<M, R>) -> Result<Response<R>, Status>
    where
        M: Named + Send + 'static,
        R: Send + 'static,
    {
        let stop = self.stop.clone();
        let stopped = || Status::unavailable("the server is stopping");
        let running = self.faults.enter();
        let task = tokio::spawn(async move {
            let _running = running;
            let before = self.faults.before(op, message.collection());
            let lost = tokio::select! {
                lost = before => lost?,
                () = self.stop.cancelled() => return Err(stopped()),
            };
            let store = Arc::clone(&self.store);
            let blocking = tokio::task::spawn_blocking(move || {
                let store = store.read().unwrap_or_else(PoisonError::into_inner);
                let store = store.as_ref().ok_or_else(stopped)?;
                call(store, message).map_err(Status::from)
            });
            let reply = blocking.await.map_err(|_| Status::internal("the call failed"))??;
            tracing::trace!(call = op.path(), "answered");
            match lost {
                None => Ok(Response::new(reply)),
                Some(LostReply::As(code)) => Err(Status::new(code, "a fault on purpose")),
                Some(LostReply::Never) => {
                    self.stop.cancelled().await;
                    Err(stopped())
                }
            }
        });
        tokio::select! {
            reply = task => reply.map_err(|_| Status::internal("the call failed"))?,
            () = stop.cancelled() => Err(stopped()),
        }
    }
}

/// Compares in a time that depends on the lengths only.
fn is_same(given: &[u8], key: &[u8]) -> bool {
    let differing = given
        .iter()
        .zip(key)
        .fold(0, |differing, (left, right)| differing | (left ^ right));
    given.len() == key.len() && differing == 0
}
