//! The demo's cluster on a real node, and what happens to it: its pods are killed, its stores stop, its specs are wrong.
//!
//! The demo itself is the first test; what it leaves up is the ground of all others. They run one after another, in the
//! order below, and the node goes with this process.
#![expect(clippy::indexing_slicing, reason = "an absent field of a JSON value reads as null")]
#![expect(clippy::print_stdout, reason = "a person watches; some tests take a minute")]

mod command_line;
mod demo;
mod failover;
mod ground;
mod hold;
mod images;
mod kills;
mod kubectl;
mod outages;
mod pods;
mod settling;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::ground::Ground;

type Test = fn(&Ground) -> Result<()>;

const TESTS: [(&str, Test); 14] = [
    (
        "the_demo_moves_a_tenant_there_and_back_and_loses_nothing",
        demo::the_demo_moves_a_tenant_there_and_back_and_loses_nothing,
    ),
    (
        "the_demo_agrees_on_a_policy_that_then_denies",
        demo::the_demo_agrees_on_a_policy_that_then_denies,
    ),
    (
        "after_convergence_nothing_is_written_but_leases",
        settling::after_convergence_nothing_is_written_but_leases,
    ),
    (
        "the_seeds_migration_test_ends_well",
        command_line::the_seeds_migration_test_ends_well,
    ),
    (
        "exit_codes_tell_scripts_what_happened",
        command_line::exit_codes_tell_scripts_what_happened,
    ),
    ("json_is_one_document", command_line::json_is_one_document),
    (
        "the_seeds_failover_test_loses_no_acknowledged_write",
        failover::the_seeds_failover_test_loses_no_acknowledged_write,
    ),
    (
        "an_image_that_cannot_be_pulled_is_named_and_heals",
        images::an_image_that_cannot_be_pulled_is_named_and_heals,
    ),
    (
        "a_container_that_does_not_start_is_named_and_heals",
        images::a_container_that_does_not_start_is_named_and_heals,
    ),
    (
        "relocators_killed_at_every_step_lose_nothing",
        kills::relocators_killed_at_every_step_lose_nothing,
    ),
    (
        "operators_killed_at_every_step_lose_nothing",
        kills::operators_killed_at_every_step_lose_nothing,
    ),
    (
        "postgres_stopped_under_load_loses_no_acknowledged_write",
        outages::postgres_stopped_under_load_loses_no_acknowledged_write,
    ),
    (
        "redis_stopped_under_load_is_not_noticed_by_writers",
        outages::redis_stopped_under_load_is_not_noticed_by_writers,
    ),
    (
        "the_vector_store_killed_under_load_loses_no_acknowledged_write",
        outages::the_vector_store_killed_under_load_loses_no_acknowledged_write,
    ),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    let ground = match Ground::up() {
        Ok(ground) => Arc::new(ground),
        Err(error) => {
            println!("the node does not come up: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&ground)));
    if let Err(error) = ground.down() {
        println!("the node does not go down: {error:#}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trials(ground: Option<&Arc<Ground>>) -> Vec<Trial> {
    let trial = |(name, test): &(&'static str, Test)| {
        let (test, ground) = (*test, ground.cloned());
        Trial::test(*name, move || run(test, ground.as_deref()))
    };
    TESTS.iter().map(trial).collect()
}

fn run(test: Test, ground: Option<&Ground>) -> Result<(), Failed> {
    let ground = ground.ok_or("there is no node")?;
    test(ground).map_err(|error| {
        ground.explain();
        Failed::from(format!("{error:#}"))
    })
}
