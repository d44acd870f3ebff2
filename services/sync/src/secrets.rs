//! Secrets that a connection names: files that whoever runs this service puts there.
//!
//! A tenant's secrets are in the directory of its name, and no tenant names another's. A secret is read when it is needed,
//! so a changed file holds for the next request; it is written nowhere and shown to nobody.

use std::path::{Path, PathBuf};

use aeterna_kit::ids::TenantId;

use crate::job::{Class, Failure};

/// Largest secret, in bytes.
const LARGEST: u64 = 16 * 1024;

/// Longest name, in bytes.
const LONGEST_NAME: usize = 128;

/// Where secrets are.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Option<PathBuf>);

impl Secrets {
    /// Makes it of the directory that holds one directory a tenant; without one there are no secrets.
    #[must_use]
    pub fn new(root: Option<PathBuf>) -> Self {
        Self(root)
    }

    /// Tells whether there can be secrets at all.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        self.0.is_some()
    }

    /// Reads a secret of a tenant.
    ///
    /// # Errors
    /// When it is not there, or is none.
    pub async fn read(&self, tenant: &TenantId, name: &str) -> Result<String, Failure> {
        let missing = || {
            let message = format!("the tenant has no secret {name:?}");
            Failure::new(Class::Config, "SECRET_NOT_FOUND", message)
        };
        let root = self.0.as_deref().ok_or_else(missing)?;
        let path = path(root, tenant.as_str(), name).ok_or_else(missing)?;
        let length = tokio::fs::metadata(&path).await.map_err(|_| missing())?.len();
        if length > LARGEST {
            let message = format!("the secret {name:?} has more than {LARGEST} bytes");
            return Err(Failure::new(Class::Config, "SECRET_UNFIT", message));
        }
        let text = tokio::fs::read_to_string(&path).await.map_err(|_| missing())?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(missing());
        }
        Ok(text.to_owned())
    }
}

/// Tells whether a name is one that a secret can have: it stays in its directory.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits)
}

fn path(root: &Path, tenant: &str, name: &str) -> Option<PathBuf> {
    let plain = !tenant.contains(['/', '\\']) && tenant != "." && tenant != "..";
    (plain && is_name(name)).then(|| root.join(tenant).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_the_directory_of_its_tenant() {
        for name in ["", ".", "..", "../globex/token", "a/b", ".hidden", "a b", "a\0"] {
            assert!(!is_name(name), "{name}");
        }
        let root = Path::new("/secrets");
        assert_eq!(path(root, "acme", "token"), Some(PathBuf::from("/secrets/acme/token")));
        assert_eq!(path(root, "..", "token"), None);
        assert_eq!(path(root, "a/b", "token"), None);
    }

    #[tokio::test]
    async fn a_secret_is_read_without_the_line_end_and_only_for_its_tenant() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("acme")).expect("made");
        std::fs::write(dir.path().join("acme/token"), "s3cret\n").expect("written");
        std::fs::write(dir.path().join("acme/empty"), "\n").expect("written");
        std::fs::write(dir.path().join("acme/large"), vec![b'x'; 20_000]).expect("written");
        let secrets = Secrets::new(Some(dir.path().to_owned()));
        let read = |tenant: &str, name: &'static str| {
            let (secrets, tenant) = (secrets.clone(), TenantId::parse(tenant).expect("a tenant"));
            async move { secrets.read(&tenant, name).await.map_err(|failure| failure.code) }
        };
        assert_eq!(read("acme", "token").await.as_deref(), Ok("s3cret"));
        assert_eq!(read("acme", "empty").await, Err("SECRET_NOT_FOUND"));
        assert_eq!(read("acme", "large").await, Err("SECRET_UNFIT"));
        assert_eq!(read("globex", "token").await, Err("SECRET_NOT_FOUND"));
        assert_eq!(read("globex", "../acme/token").await, Err("SECRET_NOT_FOUND"));
    }
}
