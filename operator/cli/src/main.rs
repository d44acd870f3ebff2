//! The command line's process.

use std::io::Write as _;
use std::process::ExitCode;

use aeterna_cli::args::{Arguments, Command};
use aeterna_cli::commands::run;
use aeterna_cli::find::Place;
use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments {
        namespace,
        output,
        command,
    } = Arguments::parse();
    let Command::Tenant(command) = command;
    let outcome = match Place::find(namespace).await {
        Ok(place) => run(&place, &command, output).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            // Where it cannot be told, the exit code still can.
            let _ = writeln!(std::io::stderr().lock(), "error: {error}");
            ExitCode::from(error.exit().code())
        }
    }
}
