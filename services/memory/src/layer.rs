//! The seven layers of memory, from the most specific to the most general.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose memory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// One agent of one user.
    Agent,
    /// One user.
    User,
    /// One session of one user.
    Session,
    /// A project.
    Project,
    /// A team.
    Team,
    /// An organisation.
    Org,
    /// The company.
    Company,
}

/// All layers, most specific first.
pub const LAYERS: [Layer; 7] = [
    Layer::Agent,
    Layer::User,
    Layer::Session,
    Layer::Project,
    Layer::Team,
    Layer::Org,
    Layer::Company,
];

impl Layer {
    /// Returns the stored and written form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::User => "user",
            Self::Session => "session",
            Self::Project => "project",
            Self::Team => "team",
            Self::Org => "org",
            Self::Company => "company",
        }
    }

    /// Reads the written form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        LAYERS.into_iter().find(|layer| layer.as_str() == text)
    }

    /// Lists all layers, for messages.
    #[must_use]
    pub fn list() -> String {
        LAYERS.map(Self::as_str).join(", ")
    }
}
