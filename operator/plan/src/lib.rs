//! Pure planning: spec and observation in, what to apply and report out.
