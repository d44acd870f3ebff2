//! Fixtures of the tests: a real PostgreSQL, PgBouncer and Redis, each of its own, each gone with the test process.
//!
//! The servers are Debian's, started on free loopback ports in temporary directories. They are started through a shell that
//! outlives the test process by a moment: it waits for the end of its standard input, which the kernel closes when the
//! process ends, however that happens, and then ends the server.

mod guard;
mod pgbouncer;
mod postgres;
mod redis;

pub use guard::free_port;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use redis::Redis;
