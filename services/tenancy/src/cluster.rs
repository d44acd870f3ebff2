//! Which AeternaCluster owns the database, and which server the database is.

use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::{Error, Result};

/// The owner of the database and the identity of the server that it last saw.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Cluster {
    /// The uid of the AeternaCluster.
    pub uid: Uuid,
    /// Its namespace.
    pub namespace: String,
    /// Raised whenever the database went back in time; the high bits of every generation.
    pub incarnation: i32,
    /// `system_identifier` of `pg_control_system()`.
    pub system_identifier: String,
    /// The timeline of the last checkpoint.
    pub timeline: i32,
}

/// Records the AeternaCluster as the owner of the database, once; returns the row. `heir_of` is the uid of an owner that
/// somebody has declared to be gone for good.
///
/// # Errors
/// [`Error::DatabaseOwnedByAnother`] when another AeternaCluster came first.
pub async fn claim_database(pool: &PgPool, uid: Uuid, namespace: &str, heir_of: Option<Uuid>) -> Result<Cluster> {
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction("claim the database"))?;
    sqlx::query(
        "insert into routing.cluster (uid, namespace, system_identifier, timeline, lsn)
         select $1, $2, s.system_identifier::text, c.timeline_id, pg_current_wal_lsn()
         from pg_control_system() s, pg_control_checkpoint() c
         on conflict do nothing",
    )
    .bind(uid)
    .bind(namespace)
    .execute(&mut *tx)
    .await
    .map_err(Error::database("claim the database"))?;
    if let Some(gone) = heir_of {
        sqlx::query("update routing.cluster set uid = $1, namespace = $2 where uid = $3")
            .bind(uid)
            .bind(namespace)
            .bind(gone)
            .execute(&mut *tx)
            .await
            .map_err(Error::database("take the database over"))?;
    }
    let owner: Cluster =
        sqlx::query_as("select uid, namespace, incarnation, system_identifier, timeline from routing.cluster")
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::database("read the owner of the database"))?;
    tx.commit()
        .await
        .map_err(Error::database("commit the claim of the database"))?;
    if owner.uid == uid {
        Ok(owner)
    } else {
        Err(Error::DatabaseOwnedByAnother {
            namespace: owner.namespace,
            uid: owner.uid,
        })
    }
}
