//! Prints `docs/rbac.md`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout()
        .lock()
        .write_all(aeterna_policy::rbac::matrix::page().as_bytes())
}
