//! The server as a value: open a directory, serve it, stop, and open it again.
//!
//! [`Server`] is the store with its settings, [`Running`] one that serves on a task of its own, for tests.
//! Stopping ends waiting calls with `Unavailable`, closes the connections and then the database, so that the
//! same directory and port are free when [`Running::stop`] returns.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use qdrant_client::qdrant::{
    collections_server::CollectionsServer, points_server::PointsServer, qdrant_server::QdrantServer,
    snapshots_server::SnapshotsServer,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use crate::{
    error::DiskError,
    faults::Faults,
    rpc::{Backend, Gateway},
    store::Store,
};

/// How long connections may take to end: their calls end at once, so only a client that does not read its
/// socket needs it.
const GRACE: Duration = Duration::from_secs(2);

/// A server that is not serving yet.
pub struct Server {
    backend: Backend,
}

/// A server that serves on a task of the current runtime; dropping it lets it stop in the background.
pub struct Running {
    address: SocketAddr,
    faults: Faults,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

/// The server ended otherwise than asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address could not be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The transport failed.
    #[error("the gRPC server failed")]
    Transport(#[from] tonic::transport::Error),
    /// A task of the server panicked.
    #[error("a task of the server failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Server {
    /// Opens a directory, made if it is missing, and reads all points into memory.
    ///
    /// # Errors
    /// The directory cannot be read or written, is open in another process, or holds something else.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, DiskError> {
        let store = Store::open(dir.as_ref())?;
        Ok(Self {
            backend: Backend {
                store: Arc::new(RwLock::new(Some(store))),
                faults: Faults::default(),
                stop: CancellationToken::new(),
                api_key: None,
            },
        })
    }

    /// Demands this key in the header `api-key` of every call but the health check.
    #[must_use]
    pub fn with_api_key(mut self, key: &str) -> Self {
        self.backend.api_key = Some(Arc::from(key));
        self
    }

    /// Returns the handle by which a test asks for faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.backend.faults.clone()
    }

    /// Serves until `shutdown` is ready, then ends calls and connections and closes the database.
    ///
    /// # Errors
    /// The transport fails.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { backend } = self;
        let stop = backend.stop.clone();
        let signal = async {
            shutdown.await;
            stop.cancel();
        };
        let serving = tonic::transport::Server::builder()
            .add_service(Gateway::<QdrantServer<()>>::new(&backend))
            .add_service(Gateway::<CollectionsServer<()>>::new(&backend))
            .add_service(Gateway::<PointsServer<()>>::new(&backend))
            .add_service(Gateway::<SnapshotsServer<()>>::new(&backend))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), signal);
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let served = tokio::select! {
            served = serving => served,
            () = overdue => Ok(()),
        };
        stop.cancel();
        let store = Arc::clone(&backend.store);
        tokio::task::spawn_blocking(move || {
            // Waits for the calls that are running, then closes the database.
            drop(store.write().unwrap_or_else(PoisonError::into_inner).take());
        })
        .await?;
        Ok(served?)
    }

    /// Serves on a free port of the loopback interface.
    ///
    /// # Errors
    /// No port can be listened on.
    pub async fn start(self) -> Result<Running, ServeError> {
        self.start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Serves on an address, such as that of a server that was stopped before.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start_at(self, address: SocketAddr) -> Result<Running, ServeError> {
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        let (faults, stop) = (self.faults(), CancellationToken::new());
        let shutdown = stop.clone().cancelled_owned();
        let task = tokio::spawn(self.serve(listener, shutdown));
        Ok(Running {
            address: bound,
            faults,
            stop,
            task,
        })
    }
}

impl Running {
    /// Returns the address that is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL for a Qdrant client.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the handle by which a test asks for faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Stops; on return the directory and the port are free.
    ///
    /// # Errors
    /// The server has failed before.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        self.stop.cancel();
        (&mut self.task).await?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
