//! Secrets that a connection names: files that whoever runs this service puts there.
//!
//! A tenant's secrets are in the directory of its name, and no tenant names another's. A secret `<name>` is sent nowhere but
//! to the origins that stand in the file `<name>.origins` beside it: who may start a job may not choose who learns a secret.
//! What deliveries are signed with is in `<name>.hmac`, which no source can name, so it is never sent at all. A file is read
//! when it is needed, so a changed one holds for the next request; it is written nowhere and shown to nobody.

use std::path::{Path, PathBuf};

use reqwest::Url;

use aeterna_kit::ids::TenantId;

use crate::job::{Class, Failure};

/// Largest secret, in bytes; also of the list of its origins.
const LARGEST: u64 = 16 * 1024;

/// Longest name, in bytes.
const LONGEST_NAME: usize = 128;

/// What the list of a secret's origins is called, after its name.
const ORIGINS: &str = ".origins";

/// What a secret is called that deliveries are signed with, after its name.
const HMAC: &str = ".hmac";

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

    /// Reads a secret of a tenant that is to be sent to the origin of a URL.
    ///
    /// # Errors
    /// When it is not there, is none, or may not be sent there.
    pub async fn read_for(&self, tenant: &TenantId, name: &str, url: &Url) -> Result<String, Failure> {
        let secret = self.read(tenant, name, "").await?;
        let origins = self.read(tenant, name, ORIGINS).await.unwrap_or_default();
        if is_listed(&origins, url) {
            return Ok(secret);
        }
        let origin = url.origin().ascii_serialization();
        let message = format!("the secret {name:?} may not be sent to {origin}: that is no line of {name}{ORIGINS}");
        Err(Failure::new(Class::Config, "SECRET_FORBIDDEN", message))
    }

    /// Reads what a tenant's deliveries are signed with.
    ///
    /// # Errors
    /// When it is not there, or is none.
    pub async fn read_hmac(&self, tenant: &TenantId, name: &str) -> Result<String, Failure> {
        self.read(tenant, name, HMAC).await
    }

    async fn read(&self, tenant: &TenantId, name: &str, kind: &str) -> Result<String, Failure> {
        let missing = || {
            let message = format!("the tenant has no secret {:?}", format!("{name}{kind}"));
            Failure::new(Class::Config, "SECRET_NOT_FOUND", message)
        };
        let root = self.0.as_deref().ok_or_else(missing)?;
        let path = path(root, tenant.as_str(), name, kind).ok_or_else(missing)?;
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

/// Tells whether a name is one that a secret can have: it stays in its directory, and is not the name of what stands beside
/// another secret.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let is_plain = (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits);
    // Some file systems do not tell letters by their case.
    let lower = name.to_ascii_lowercase();
    is_plain && !lower.ends_with(ORIGINS) && !lower.ends_with(HMAC)
}

/// Tells whether the origin of a URL is a line of a list: scheme, host and port, and nothing behind them.
fn is_listed(origins: &str, url: &Url) -> bool {
    origins.lines().map(str::trim).any(|line| {
        let is_origin = |listed: &Url| listed.path() == "/" && listed.query().is_none() && listed.fragment().is_none();
        let listed = Url::parse(line).ok().filter(is_origin);
        listed.is_some_and(|listed| listed.origin().is_tuple() && listed.origin() == url.origin())
    })
}

fn path(root: &Path, tenant: &str, name: &str, kind: &str) -> Option<PathBuf> {
    let plain = !tenant.contains(['/', '\\']) && tenant != "." && tenant != "..";
    (plain && is_name(name)).then(|| root.join(tenant).join(format!("{name}{kind}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_the_directory_of_its_tenant() {
        let refused = [
            "",
            ".",
            "..",
            "../globex/token",
            "a/b",
            ".hidden",
            "a b",
            "a\0",
            "token.origins",
            "hook.hmac",
            "hook.HMAC",
        ];
        for name in refused {
            assert!(!is_name(name), "{name}");
        }
        let root = Path::new("/secrets");
        let at = |tenant, name| path(root, tenant, name, "");
        assert_eq!(at("acme", "token"), Some(PathBuf::from("/secrets/acme/token")));
        assert_eq!(at("..", "token"), None);
        assert_eq!(at("a/b", "token"), None);
    }

    #[test]
    fn an_origin_is_listed_by_scheme_host_and_port() {
        let list = "https://git.example.com\n\nhttps://b.example.com:8443/\r\nhttp://inside:80\nexample.org\nhttps://c.example.com/x\n*";
        let is_listed = |url: &str| is_listed(list, &Url::parse(url).expect("a URL"));
        for url in [
            "https://git.example.com/team/docs.git",
            "https://GIT.example.com:443/",
            "https://b.example.com:8443/feed",
            "http://inside/feed",
        ] {
            assert!(is_listed(url), "{url}");
        }
        for url in [
            "http://git.example.com/",
            "https://git.example.com:8443/",
            "https://evil.example.com/",
            "https://git.example.com.evil.example/",
            "https://b.example.com/",
            "https://inside/",
            "https://example.org/",
            "https://c.example.com/x",
        ] {
            assert!(!is_listed(url), "{url}");
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_without_the_line_end_for_its_tenant_and_for_its_origins() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("acme")).expect("made");
        let files: [(&str, &[u8]); 7] = [
            ("token", b"s3cret\n"),
            ("token.origins", b"https://example.com\n"),
            ("hook.hmac", b"signs\n"),
            ("unlisted", b"s3cret\n"),
            ("silent", b"s3cret\n"),
            ("silent.origins", b""),
            ("empty", b"\n"),
        ];
        for (name, bytes) in files {
            std::fs::write(dir.path().join("acme").join(name), bytes).expect("written");
        }
        std::fs::write(dir.path().join("acme/large"), vec![b'x'; 20_000]).expect("written");
        let secrets = Secrets::new(Some(dir.path().to_owned()));
        let read = |tenant: &str, name: &'static str, url: &str| {
            let (secrets, tenant) = (secrets.clone(), TenantId::parse(tenant).expect("a tenant"));
            let url = Url::parse(url).expect("a URL");
            async move {
                secrets
                    .read_for(&tenant, name, &url)
                    .await
                    .map_err(|failure| failure.code)
            }
        };
        let ours = "https://example.com/feed";
        assert_eq!(read("acme", "token", ours).await.as_deref(), Ok("s3cret"));
        assert_eq!(
            read("acme", "token", "https://evil.example/").await,
            Err("SECRET_FORBIDDEN")
        );
        assert_eq!(read("acme", "unlisted", ours).await, Err("SECRET_FORBIDDEN"));
        assert_eq!(read("acme", "silent", ours).await, Err("SECRET_FORBIDDEN"));
        assert_eq!(read("acme", "empty", ours).await, Err("SECRET_NOT_FOUND"));
        assert_eq!(read("acme", "large", ours).await, Err("SECRET_UNFIT"));
        assert_eq!(read("acme", "hook", ours).await, Err("SECRET_NOT_FOUND"));
        assert_eq!(read("acme", "hook.hmac", ours).await, Err("SECRET_NOT_FOUND"));
        assert_eq!(read("globex", "token", ours).await, Err("SECRET_NOT_FOUND"));
        assert_eq!(read("globex", "../acme/token", ours).await, Err("SECRET_NOT_FOUND"));
        let acme = TenantId::parse("acme").expect("a tenant");
        assert_eq!(secrets.read_hmac(&acme, "hook").await.ok().as_deref(), Some("signs"));
        assert!(secrets.read_hmac(&acme, "token").await.is_err());
    }
}
