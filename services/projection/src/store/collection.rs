//! Making, inspecting and dropping collections.

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionStatus, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Distance, FieldType,
    GetPointsBuilder, KeywordIndexParamsBuilder, NamedVectors, PointStruct, UpsertPointsBuilder, VectorParamsBuilder,
    VectorsConfigBuilder,
};
use uuid::Uuid;

use aeterna_tenancy::cleanups::REQUEST_DEADLINE;
use aeterna_tenancy::shards::Shard;

use super::payload::text;
use super::point::{DELETED, GENERATION, IDENTIFIERS, IDENTITY, LAYER, RESERVED, TAGS, TENANT, VERSION};
use super::upsert::require_completed;
use super::{Error, Result, Store, VECTOR};

/// What a collection is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionState {
    /// Points in it, about.
    pub points: u64,
    /// Its optimizers are done: searches use the index.
    pub indexed: bool,
}

impl Store {
    /// Makes sure that the shard's collection exists, has the dimension and carries the shard's identity.
    ///
    /// Safe to repeat. A collection that exists with another identity is never touched.
    ///
    /// # Errors
    /// [`Error::OtherDimension`], [`Error::OtherIdentity`], [`Error::Unavailable`], [`Error::Refused`],
    /// [`Error::Denied`].
    pub async fn ensure_collection(&self, shard: &Shard) -> Result<()> {
        let collection = &shard.collection;
        let dimension = u64::try_from(shard.dimension).unwrap_or_default();
        let exists = self
            .bounded(
                "list collections",
                collection,
                REQUEST_DEADLINE,
                self.client.collection_exists(collection),
            )
            .await?;
        if !exists {
            self.create(collection, dimension).await?;
        }
        self.check_dimension(collection, dimension).await?;
        match self.fetch_identity(collection).await? {
            Some(found) if found == shard.identity.to_string() => {}
            Some(found) => {
                return Err(Error::OtherIdentity {
                    collection: collection.clone(),
                    expected: shard.identity,
                    found: Some(found),
                });
            }
            None => {
                // Made by us a moment ago, or before a crash: the identity is the last thing that a collection gets.
                self.index_payload(collection).await?;
                self.write_identity(collection, shard.identity).await?;
            }
        }
        Ok(())
    }

    async fn create(&self, collection: &str, dimension: u64) -> Result<()> {
        let mut vectors = VectorsConfigBuilder::default();
        vectors.add_named_vector_params(VECTOR, VectorParamsBuilder::new(dimension, Distance::Cosine));
        let request = CreateCollectionBuilder::new(collection).vectors_config(vectors);
        let created = self
            .bounded(
                "create the collection",
                collection,
                REQUEST_DEADLINE,
                self.client.create_collection(request),
            )
            .await;
        match created {
            // Somebody else was faster; the checks that follow say whether it is ours.
            Err(Error::Refused { reason, .. } | Error::Denied { reason, .. }) if reason.contains("already exists") => {
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    async fn index_payload(&self, collection: &str) -> Result<()> {
        const OPERATION: &str = "index a payload field";
        let fields = [
            (TENANT, FieldType::Keyword),
            (GENERATION, FieldType::Integer),
            (VERSION, FieldType::Integer),
            (DELETED, FieldType::Bool),
            (LAYER, FieldType::Keyword),
            (TAGS, FieldType::Keyword),
            (IDENTIFIERS, FieldType::Keyword),
        ];
        for (field, kind) in fields {
            let mut request = CreateFieldIndexCollectionBuilder::new(collection, field, kind).wait(true);
            if field == TENANT {
                // Tells Qdrant to keep a tenant's points together.
                request = request.field_index_params(KeywordIndexParamsBuilder::default().is_tenant(true));
            }
            let reply = self
                .bounded(
                    OPERATION,
                    collection,
                    REQUEST_DEADLINE,
                    self.client.create_field_index(request),
                )
                .await?;
            require_completed(OPERATION, reply.result.map(|result| result.status))?;
        }
        Ok(())
    }

    async fn write_identity(&self, collection: &str, identity: Uuid) -> Result<()> {
        const OPERATION: &str = "take the shard's identity";
        let point = PointStruct {
            id: Some(RESERVED.to_string().into()),
            payload: [(IDENTITY.to_owned(), identity.to_string().into())].into(),
            vectors: Some(NamedVectors::default().into()),
        };
        let request = UpsertPointsBuilder::new(collection, vec![point]).wait(true);
        let reply = self
            .bounded(
                OPERATION,
                collection,
                REQUEST_DEADLINE,
                self.client.upsert_points(request),
            )
            .await?;
        require_completed(OPERATION, reply.result.map(|result| result.status))
    }

    /// Reads the identity that a collection carries.
    ///
    /// # Errors
    /// [`Error::MissingCollection`], [`Error::Unavailable`].
    pub async fn fetch_identity(&self, collection: &str) -> Result<Option<String>> {
        let request = GetPointsBuilder::new(collection, vec![RESERVED.to_string().into()]).with_payload(true);
        let reply = self
            .bounded(
                "tell the shard's identity",
                collection,
                REQUEST_DEADLINE,
                self.client.get_points(request),
            )
            .await?;
        Ok(reply
            .result
            .first()
            .and_then(|point| text(&point.payload, IDENTITY))
            .map(str::to_owned))
    }

    /// Refuses when the collection is not the shard in the life that the row tells of.
    ///
    /// # Errors
    /// [`Error::OtherIdentity`], [`Error::MissingCollection`], [`Error::Unavailable`].
    pub async fn require_identity(&self, collection: &str, identity: Uuid) -> Result<()> {
        let found = self.fetch_identity(collection).await?;
        if found.as_deref() == Some(identity.to_string().as_str()) {
            Ok(())
        } else {
            Err(Error::OtherIdentity {
                collection: collection.to_owned(),
                expected: identity,
                found,
            })
        }
    }

    async fn check_dimension(&self, collection: &str, expected: u64) -> Result<()> {
        let info = self
            .bounded(
                "describe the collection",
                collection,
                REQUEST_DEADLINE,
                self.client.collection_info(collection),
            )
            .await?;
        let config = info
            .result
            .and_then(|info| info.config)
            .and_then(|config| config.params)
            .and_then(|params| params.vectors_config)
            .and_then(|vectors| vectors.config);
        let found = match config {
            Some(Config::ParamsMap(map)) => map.map.get(VECTOR).map(|params| params.size),
            Some(Config::Params(_)) | None => None,
        };
        if found == Some(expected) {
            return Ok(());
        }
        Err(Error::OtherDimension {
            collection: collection.to_owned(),
            expected,
            found: found.map_or_else(|| format!("no vector named {VECTOR}, 0"), |size| size.to_string()),
        })
    }

    /// Tells how a collection is.
    ///
    /// # Errors
    /// [`Error::MissingCollection`], [`Error::Unavailable`].
    pub async fn fetch_state(&self, collection: &str) -> Result<CollectionState> {
        let info = self
            .bounded(
                "describe the collection",
                collection,
                REQUEST_DEADLINE,
                self.client.collection_info(collection),
            )
            .await?
            .result
            .unwrap_or_default();
        Ok(CollectionState {
            points: info.points_count.unwrap_or_default(),
            indexed: info.status == i32::from(CollectionStatus::Green),
        })
    }

    /// Drops the collection of a retired shard, after comparing its identity. A missing collection counts as dropped.
    ///
    /// # Errors
    /// [`Error::OtherIdentity`], [`Error::Unavailable`].
    pub async fn drop_collection(&self, collection: &str, identity: Uuid) -> Result<()> {
        match self.require_identity(collection, identity).await {
            Err(Error::MissingCollection { .. }) => return Ok(()),
            other => other?,
        }
        let deleted = self.client.delete_collection(collection);
        match self
            .bounded("drop the collection", collection, REQUEST_DEADLINE, deleted)
            .await
        {
            Ok(_) | Err(Error::MissingCollection { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }
}
