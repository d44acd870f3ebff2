//! Newtypes for what identifies a tenant and a request.

use std::fmt;

use serde::Serialize;

/// Longest tenant id, in bytes.
pub const LONGEST_TENANT_ID: usize = 128;

/// A tenant's id: any string of 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TenantId(String);

/// A string that is not a tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id has 1 to {LONGEST_TENANT_ID} bytes and no control characters")]
pub struct InvalidTenantId;

impl TenantId {
    /// Takes a string as a tenant id.
    ///
    /// # Errors
    /// [`InvalidTenantId`] when it is empty, too long, or has control characters.
    pub fn parse(id: impl Into<String>) -> Result<Self, InvalidTenantId> {
        let id = id.into();
        let fits = (1..=LONGEST_TENANT_ID).contains(&id.len()) && !id.chars().any(char::is_control);
        if fits { Ok(Self(id)) } else { Err(InvalidTenantId) }
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(id: &str) -> Result<Self, InvalidTenantId> {
        Self::parse(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_readable_string_up_to_128_bytes_is_a_tenant_id() {
        assert!(TenantId::parse("large-corp").is_ok());
        assert!(TenantId::parse("Größe & Co. / №1").is_ok());
        assert!(TenantId::parse("a".repeat(128)).is_ok());
    }

    #[test]
    fn nothing_too_much_and_control_characters_are_not() {
        assert_eq!(TenantId::parse(""), Err(InvalidTenantId));
        assert_eq!(TenantId::parse("a".repeat(129)), Err(InvalidTenantId));
        assert_eq!(TenantId::parse("a\0b"), Err(InvalidTenantId));
    }
}
