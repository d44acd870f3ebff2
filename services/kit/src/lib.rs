//! What every service shares: config, HTTP stack, authentication, problems, telemetry, PostgreSQL in a tenant's scope,
//! migrations, the cache, and the life of a process.
//!
//! It knows no route, no move and no memory. A service brings its routes and its state; [`service`] makes a process of
//! them. The relocator and the operator use [`db`], [`migrate`] and [`tasks`] alone.

pub mod auth;
pub mod cache;
pub mod clock;
pub mod config;
pub mod db;
pub mod document;
pub mod hex;
pub mod http;
pub mod ids;
pub mod migrate;
pub mod page;
pub mod problem;
pub mod service;
pub mod tasks;
pub mod yaml;
