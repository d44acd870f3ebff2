//! Fixtures of the tests: a real PostgreSQL, PgBouncer, Redis and API server, each of its own, each gone with the test
//! process.
//!
//! The stores are Debian's, started on free loopback ports in temporary directories. They are started through a shell that
//! outlives the test process by a moment: it waits for the end of its standard input, which the kernel closes when the
//! process ends, however that happens, and then ends the server.

mod apiserver;
mod guard;
mod pgbouncer;
mod postgres;
mod program;
mod redis;

pub use apiserver::ApiServer;
pub use guard::free_port;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use program::output;
pub use redis::Redis;
