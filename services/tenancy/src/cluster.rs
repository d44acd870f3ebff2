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
    /// The Kubernetes that it lives in, if that is known: the uid of the namespace kube-system.
    pub kubernetes: Option<Uuid>,
    /// Raised whenever the database went back in time; the high bits of every generation.
    pub incarnation: i32,
    /// `system_identifier` of `pg_control_system()`.
    pub system_identifier: String,
    /// The timeline of the last checkpoint.
    pub timeline: i32,
}

/// An AeternaCluster that takes a database.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// Its uid.
    pub uid: Uuid,
    /// Its namespace.
    pub namespace: &'a str,
    /// The Kubernetes that it lives in, if that is known: the uid of the namespace kube-system.
    pub kubernetes: Option<Uuid>,
    /// The uid of an owner that is gone for good.
    pub heir_of: Option<Uuid>,
}

/// Records the AeternaCluster as the owner of the database, once; returns the row.
///
/// # Errors
/// [`Error::DatabaseOwnedByAnother`] when another AeternaCluster came first.
pub async fn claim_database(pool: &PgPool, claim: &Claim<'_>) -> Result<Cluster> {
    let mut tx = aeterna_kit::db::system_tx(pool)
        .await
        .map_err(Error::transaction("claim the database"))?;
    sqlx::query(
        "insert into routing.cluster (uid, namespace, kubernetes, system_identifier, timeline, lsn)
         select $1, $2, $3, s.system_identifier::text, c.timeline_id, pg_current_wal_lsn()
         from pg_control_system() s, pg_control_checkpoint() c
         on conflict do nothing",
    )
    .bind(claim.uid)
    .bind(claim.namespace)
    .bind(claim.kubernetes)
    .execute(&mut *tx)
    .await
    .map_err(Error::database("claim the database"))?;
    // An heir takes it over; an owner that was recorded without its Kubernetes says where it lives.
    sqlx::query(
        "update routing.cluster set uid = $1, namespace = $2, kubernetes = $3
         where uid = $4 or (uid = $1 and kubernetes is null and $3 is not null)",
    )
    .bind(claim.uid)
    .bind(claim.namespace)
    .bind(claim.kubernetes)
    .bind(claim.heir_of)
    .execute(&mut *tx)
    .await
    .map_err(Error::database("take the database over"))?;
    let owner: Cluster = sqlx::query_as(
        "select uid, namespace, kubernetes, incarnation, system_identifier, timeline from routing.cluster",
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(Error::database("read the owner of the database"))?;
    tx.commit()
        .await
        .map_err(Error::database("commit the claim of the database"))?;
    if owner.uid == claim.uid {
        Ok(owner)
    } else {
        Err(Error::DatabaseOwnedByAnother {
            namespace: owner.namespace,
            uid: owner.uid,
            kubernetes: owner.kubernetes,
        })
    }
}
