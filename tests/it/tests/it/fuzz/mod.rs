//! All routes of the services, as their OpenAPI documents list them: a new route is covered without being named here.
//!
//! [`sample`] makes requests of a document, [`strangers`] asks as another tenant, [`roles`] as each role.

mod owner;
mod roles;
mod sample;
mod strangers;
