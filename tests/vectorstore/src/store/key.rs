//! The id of a point, in the order in which Qdrant lists ids.
//!
//! Numbers come before UUIDs, and UUIDs are ordered by their bytes: the derived order of [`PointKey`] is the
//! order of scrolling, and [`PointKey::to_bytes`] keeps it on disk.

use qdrant_client::qdrant::{PointId, point_id::PointIdOptions};
use uuid::Uuid;

use crate::error::CallError;

/// Identifies a point within its collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PointKey {
    /// A number chosen by the client.
    Number(u64),
    /// A UUID, compared by its big-endian bytes.
    Uuid(Uuid),
}

/// Marks a key on disk as a number; smaller than [`UUID`], so that numbers come first.
const NUMBER: u8 = 0;
/// Marks a key on disk as a UUID.
const UUID: u8 = 1;

impl PointKey {
    /// Encodes the key so that the order of the bytes is the order of the keys.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Number(number) => [&[NUMBER][..], &number.to_be_bytes()].concat(),
            Self::Uuid(uuid) => [&[UUID][..], uuid.as_bytes()].concat(),
        }
    }

    /// Decodes what [`PointKey::to_bytes`] made; `None` for anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&NUMBER, rest) => Some(Self::Number(u64::from_be_bytes(rest.try_into().ok()?))),
            (&UUID, rest) => Some(Self::Uuid(Uuid::from_slice(rest).ok()?)),
            _ => None,
        }
    }

    /// Reads an id that a request must carry.
    pub(crate) fn required(id: Option<PointId>) -> Result<Self, CallError> {
        id.ok_or_else(|| CallError::wrong_input("Empty ID is not allowed"))?
            .try_into()
    }
}

impl TryFrom<PointId> for PointKey {
    type Error = CallError;

    fn try_from(id: PointId) -> Result<Self, CallError> {
        match id.point_id_options {
            Some(PointIdOptions::Num(number)) => Ok(Self::Number(number)),
            Some(PointIdOptions::Uuid(text)) => Uuid::parse_str(&text)
                .map(Self::Uuid)
                .map_err(|_| CallError::wrong_input(format!("Unable to parse UUID: {text}"))),
            None => Err(CallError::wrong_input("Empty ID is not allowed")),
        }
    }
}

impl From<PointKey> for PointId {
    fn from(key: PointKey) -> Self {
        let options = match key {
            PointKey::Number(number) => PointIdOptions::Num(number),
            PointKey::Uuid(uuid) => PointIdOptions::Uuid(uuid.to_string()),
        };
        Self {
            point_id_options: Some(options),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_the_order_and_come_back() {
        let keys = [
            PointKey::Number(0),
            PointKey::Number(255),
            PointKey::Number(256),
            PointKey::Uuid(Uuid::from_u128(1)),
            PointKey::Uuid(Uuid::from_u128(u128::MAX)),
        ];
        assert!(keys.is_sorted());
        assert!(keys.map(PointKey::to_bytes).is_sorted());
        assert_eq!(keys.map(|key| PointKey::from_bytes(&key.to_bytes())), keys.map(Some));
    }
}
