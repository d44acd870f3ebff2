//! Holds a move at the point where it leaves a step, so that something can be killed right there.
//!
//! A trigger that only these tests make waits for a lock that the test has. The step's work is done then, and its end is
//! not recorded: what has just been done in the vector store will be done again.

use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use crate::ground::{Ground, wait_often};

/// The key of the lock.
const KEY: i64 = 271_828;

/// A lock that is held until it is dropped or released.
pub struct Hold {
    connection: PgConnection,
}

impl Ground {
    /// Holds the next move that leaves `step`.
    pub fn hold(&self, step: &str) -> Result<Hold> {
        self.runtime.block_on(async {
            let mut connection = self.database.acquire().await?.detach();
            let now: String = sqlx::query_scalar("select clock_timestamp()::text")
                .fetch_one(&mut connection)
                .await?;
            // Moves of before are let go. Under the fence only the statement's own timeout ends the wait, and the next try of
            // the cutover is held again.
            let trigger = format!(
                "create or replace function routing.hold() returns trigger language plpgsql as $$
                 begin
                   if old.step = '{step}' and new.step <> old.step and old.created_at > '{now}' then
                     perform set_config('lock_timeout', '0', true);
                     perform pg_advisory_xact_lock_shared({KEY});
                   end if;
                   return new;
                 end $$;
                 create or replace trigger hold before update on routing.moves for each row execute function routing.hold();"
            );
            sqlx::query("select pg_advisory_lock($1)")
                .bind(KEY)
                .execute(&mut connection)
                .await?;
            connection.execute(sqlx::AssertSqlSafe(trigger)).await?;
            Ok(Hold { connection })
        })
    }

    /// Waits until a move is held; looks often, for under the fence it is held a quarter of a second a try.
    pub fn wait_held(&self) -> Result<()> {
        wait_often(
            "a move is held",
            Duration::from_secs(60),
            Duration::from_millis(10),
            || {
                let waiting = sqlx::query_scalar(
                    "select exists (select from pg_locks where locktype = 'advisory' and not granted and objid = $1::bigint::oid)",
                );
                let held: bool = self.runtime.block_on(waiting.bind(KEY).fetch_one(&self.database))?;
                Ok(held.then_some(()))
            },
        )
    }

    /// Lets the move go on, and removes the trigger.
    pub fn release(&self, mut hold: Hold) -> Result<()> {
        self.runtime.block_on(async {
            sqlx::query("select pg_advisory_unlock($1)")
                .bind(KEY)
                .execute(&mut hold.connection)
                .await?;
            hold.connection.execute("drop trigger hold on routing.moves").await?;
            Ok(hold.connection.close().await?)
        })
    }
}
