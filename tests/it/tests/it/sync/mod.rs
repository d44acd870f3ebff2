//! The sync service over HTTP, on a real database, with the real memory service as its target.

mod bucket;
mod codes;
mod conflicts;
mod connections;
mod directory;
mod disabled;
mod dry_run;
mod feed;
mod feed_faults;
mod git;
mod github;
mod jobs;
mod kills;
mod kills_elsewhere;
mod knowledge;
mod outages;
mod peer;
mod pointers;
mod probes;
mod rejects;
mod repository;
mod schedules;
pub mod service;
mod tenants;
mod web;
mod webhooks;
mod zombies;
