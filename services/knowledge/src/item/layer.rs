//! Whom an item speaks to, from everybody to one project.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The layer of an item; the wider speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Everybody.
    Company,
    /// One organisation.
    Org,
    /// One team.
    Team,
    /// One project.
    Project,
}

/// All layers, the widest first.
pub const LAYERS: [Layer; 4] = [Layer::Company, Layer::Org, Layer::Team, Layer::Project];

impl Layer {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::Org => "org",
            Self::Team => "team",
            Self::Project => "project",
        }
    }

    /// Finds a layer by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        LAYERS.into_iter().find(|layer| layer.as_str() == name)
    }

    /// Finds the layer that a first segment stands for, as repositories of knowledge are laid out.
    #[must_use]
    pub fn of_folder(name: &str) -> Option<Self> {
        match name {
            "company" => Some(Self::Company),
            "orgs" => Some(Self::Org),
            "teams" => Some(Self::Team),
            "projects" => Some(Self::Project),
            _ => None,
        }
    }
}
