//! Programs that run to their end.

use std::borrow::BorrowMut;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs a program, and returns what it printed, without the line's end.
///
/// # Errors
/// When it cannot be started or fails; says what it printed then.
pub fn output(mut program: impl BorrowMut<Command>) -> Result<String> {
    let program = program.borrow_mut();
    let done = program
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program:?}"))?;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    ensure!(
        done.status.success(),
        "{program:?} ends with {}: {out}{err}",
        done.status
    );
    Ok(out.trim_end().to_owned())
}
