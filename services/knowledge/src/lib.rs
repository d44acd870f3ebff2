//! The knowledge service: its process stands on the kit and answers `/health`, `/ready` and `/metrics`.
//!
//! An endpoint is a file below `routes/` and a line in [`router`]; state and settings of its own go beside it.

pub mod router;
