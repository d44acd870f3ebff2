//! The command line, aeterna-cli.
