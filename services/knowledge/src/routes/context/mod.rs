//! `/api/v1/context`.

pub mod assemble;
mod gather;
