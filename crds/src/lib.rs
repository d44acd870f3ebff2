//! The API types of aeterna.dev/v1alpha1: AeternaCluster and TenantShard.
