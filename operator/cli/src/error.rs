//! What can go wrong, and what to do about it.

use crate::exit::Exit;

/// One variant for each thing that a user can do something about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cluster is configured.
    #[error("no Kubernetes cluster is configured; set KUBECONFIG, or run kubectl config use-context")]
    NoConfig(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API does not know our kinds.
    #[error("the cluster has no TenantShards; install Aeterna with kubectl apply -k config/install")]
    NotInstalled,
    /// The user may not.
    #[error("you may not {operation} in namespace {namespace}: {reason}")]
    Forbidden {
        /// What was tried.
        operation: &'static str,
        /// Where.
        namespace: String,
        /// What the API server says.
        reason: String,
    },
    /// No TenantShard has this tenant.
    #[error("no TenantShard in namespace {namespace} has tenantId {tenant}; there are: {known}")]
    UnknownTenant {
        /// The tenant asked for.
        tenant: String,
        /// Where.
        namespace: String,
        /// Those that there are.
        known: String,
    },
    /// The API server does not answer, or refuses.
    #[error("cannot {operation}: {source}")]
    Api {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The operator cannot go on without somebody's help.
    #[error("the operator is stalled: {reason}: {message}")]
    Stalled {
        /// The reason in the condition.
        reason: String,
        /// Its message.
        message: String,
    },
    /// The time is over.
    #[error("not done within {seconds} s; it goes on, see: aeterna-cli tenant status --tenant-id {tenant}")]
    Timeout {
        /// The time.
        seconds: u64,
        /// The tenant.
        tenant: String,
    },
    /// A verification could not be finished.
    #[error("the verification failed: {0}")]
    Verification(String),
    /// Standard output is closed.
    #[error("cannot write the answer")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// Sorts an error of the API server.
    pub(crate) fn api(operation: &'static str, namespace: &str, source: kube::Error) -> Self {
        if let kube::Error::Api(status) = &source {
            if status.is_forbidden() {
                let (namespace, reason) = (namespace.to_owned(), status.message.clone());
                return Self::Forbidden {
                    operation,
                    namespace,
                    reason,
                };
            }
            if status.is_not_found() {
                return Self::NotInstalled;
            }
        }
        Self::Api {
            operation,
            source: Box::new(source),
        }
    }

    /// Returns how the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotInstalled | Self::UnknownTenant { .. } => Exit::NotFound,
            Self::Timeout { .. } => Exit::Timeout,
            Self::NoConfig(_)
            | Self::Forbidden { .. }
            | Self::Api { .. }
            | Self::Stalled { .. }
            | Self::Verification(_)
            | Self::Output(_) => Exit::Failed,
        }
    }
}
