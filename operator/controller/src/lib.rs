//! The operator process: observe, validate, plan, act, report.
