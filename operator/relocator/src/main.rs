//! The relocator's process: settings in, workers out.

fn main() {}
