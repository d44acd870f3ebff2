//! A service as its users have it: a process behind HTTP, with its default settings.

use aeterna_kit::auth::TenantScope;
use aeterna_testkit::free_port;
use anyhow::{Result, ensure};
use uuid::Uuid;

use crate::ground::Ground;
use crate::http::Connection;
use crate::process::Process;
use crate::rounds::{CLIENTS, Client};

/// The running service.
#[derive(Debug)]
pub struct Served {
    port: u16,
    _process: Process,
}

/// What an answer must be.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Its status.
    pub status: u16,
    /// Something that is in its body.
    pub part: &'static str,
}

/// A client that keeps its connection; a task is the bytes of a request.
#[derive(Debug)]
pub struct Caller {
    connection: Connection,
    expected: Expected,
}

/// Starts the memory service on a ground.
pub async fn start(ground: &Ground) -> Result<Served> {
    let variables = [("EMBEDDING_WEIGHTS_DIR", ground.weights.as_str())];
    Served::start(ground, "memory-service", &variables).await
}

impl Served {
    /// Starts a service on a ground's database, with variables of its own.
    pub async fn start(ground: &Ground, name: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let port = free_port()?;
        let port_text = port.to_string();
        let common = [
            ("DATABASE_URL", ground.database_url.as_str()),
            ("PORT", port_text.as_str()),
            ("AUTH_MODE", "disabled"),
        ];
        let mut process = Process::start(&ground.dir(), name, &[], &[&common, variables].concat())?;
        process.wait_for_port(port).await?;
        Ok(Self {
            port,
            _process: process,
        })
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Connects all clients of a round.
    pub async fn callers(&self, expected: Expected) -> Result<Vec<Caller>> {
        let mut callers = Vec::new();
        for _ in 0..CLIENTS {
            let connection = Connection::open(self.port).await?;
            callers.push(Caller { connection, expected });
        }
        Ok(callers)
    }
}

impl Client<Vec<u8>> for Caller {
    async fn work(&mut self, request: &Vec<u8>) -> Result<()> {
        let Expected { status, part } = self.expected;
        let answer = self.connection.ask(request).await?;
        ensure!(
            answer.status == status && answer.body.contains(part),
            "not {status} {part}: {answer:?} to {}",
            String::from_utf8_lossy(request)
        );
        Ok(())
    }
}

/// The tenant that is read and searched.
#[derive(Debug)]
pub struct Read {
    /// Its scope.
    pub scope: TenantScope,
    /// The ids of its memories.
    pub ids: Vec<Uuid>,
}

impl Read {
    /// Makes it: 20,000 memories.
    pub async fn fill(ground: &Ground) -> Result<Self> {
        let scope = ground.tenant("reader").await?;
        let ids = ground.fill(&scope, 20_000).await?;
        Ok(Self { scope, ids })
    }
}
