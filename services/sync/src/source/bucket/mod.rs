//! Markdown objects of a bucket that speaks S3.
//!
//! The bucket is listed as a whole when it is opened; the position is the path of the last object. An object is read when
//! its entity tag is not the one that was delivered. The library signs and reads S3's XML; what it asks goes through our own
//! client ([`client`]), so every request is guarded, bounded, and can be given up.

mod client;
mod crypto;
mod keys;

use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use serde_json::Value;

use super::{Found, LARGEST, LONGEST_ID, Listed, Page, Unfit, is_markdown, sorted, text_of, too_large};
use crate::connection::S3;
use crate::job::{Class, Failure};
use crate::outbound::{self, Outbound};
use client::{Connector, Kept};
use crypto::Crypto;
use keys::Odd;

/// Objects that are looked at in any case, wanted or not: a thousand pages.
const OBJECTS: u64 = 1_000_000;

/// An open bucket: what it held when it was opened.
#[derive(Debug)]
pub struct Bucket {
    store: AmazonS3,
    kept: Kept,
    odd: Odd,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Below the prefix.
    path: String,
    /// The key, where the library can ask for it.
    location: Option<Path>,
    tag: Option<String>,
    bytes: u64,
}

impl Bucket {
    /// Lists a bucket. The secret is an access key's id and the key, with a colon between; without one nothing is signed.
    ///
    /// # Errors
    /// When it does not answer, refuses, or holds more than `most` files.
    pub async fn open(outbound: Outbound, settings: &S3, secret: Option<&str>, most: u64) -> Result<Self, Failure> {
        outbound::parse_url(&settings.endpoint)
            .map_err(|message| Failure::new(Class::Config, "SOURCE_NOT_FOUND", message))?;
        let below = if settings.prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", settings.prefix)
        };
        let (kept, odd) = (Kept::default(), Odd::new(&below, most, is_wanted));
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(settings.endpoint.trim_end_matches('/'))
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_virtual_hosted_style_request(!settings.path_style)
            // Whether http may be asked is the guard's to say, as for every source.
            .with_allow_http(true)
            // A job has its own retries, and a pause of its own between them.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            })
            .with_crypto_provider(Arc::new(Crypto))
            .with_http_connector(Connector::new(outbound, kept.clone(), odd.clone()));
        builder = match secret {
            None => builder.with_skip_signature(true),
            Some(secret) => {
                let unfit = || {
                    let message = "the secret is no ACCESS_KEY_ID:SECRET_ACCESS_KEY";
                    Failure::new(Class::Config, "SECRET_UNFIT", message)
                };
                let (id, key) = secret.split_once(':').ok_or_else(unfit)?;
                builder.with_access_key_id(id).with_secret_access_key(key)
            }
        };
        let store = builder.build().map_err(|error| strange(&error))?;
        let mut bucket = Self {
            store,
            kept,
            odd,
            entries: Vec::new(),
        };
        bucket.entries = bucket.list(&settings.prefix, &below, most).await?;
        Ok(bucket)
    }

    async fn list(&self, prefix: &str, below: &str, most: u64) -> Result<Vec<Entry>, Failure> {
        let prefix = (!prefix.is_empty()).then(|| Path::parse(prefix)).transpose();
        let prefix = prefix.map_err(|error| strange(&error))?;
        let too_many = || {
            let message = format!("the bucket holds more than {most} files");
            Failure::new(Class::Data, "TOO_MANY_ITEMS", message)
        };
        let (mut entries, mut left) = (Vec::new(), most.saturating_mul(10).max(OBJECTS));
        let mut objects = self.store.list(prefix.as_ref());
        while let Some(object) = objects.try_next().await.map_err(|error| self.judge(&error))? {
            left = left.checked_sub(1).ok_or_else(too_many)?;
            entries.extend(Entry::of(object, below));
            if u64::try_from(entries.len()).is_ok_and(|count| count > most) {
                return Err(too_many());
            }
        }
        entries.extend(self.odd.take().into_iter().map(Entry::odd));
        if u64::try_from(entries.len()).is_ok_and(|count| count > most) {
            return Err(too_many());
        }
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(entries)
    }

    /// Returns the page at a position.
    ///
    /// # Errors
    /// When the position is not a path.
    pub fn page(&self, position: Option<&Value>) -> Result<Page, Failure> {
        sorted::page("a bucket", &self.entries, position, |entry| &entry.path, Entry::listed)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn read(&self, path: &str) -> Result<Found, Failure> {
        let place = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path));
        let entry = place.ok().and_then(|place| self.entries.get(place));
        let Some(location) = entry.and_then(|entry| entry.location.as_ref()) else {
            return Ok(Found::Gone);
        };
        let read = async { self.store.get(location).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(match u64::try_from(bytes.len()) {
                Ok(length) if length > LARGEST => too_large(length),
                Ok(_) | Err(_) => text_of(bytes.to_vec()),
            }),
            Err(object_store::Error::NotFound { .. }) => Ok(Found::Gone),
            // Of this object alone: the bucket was listed.
            Err(object_store::Error::PermissionDenied { .. }) => {
                let message = "the bucket does not let the job read the object";
                Ok(Found::Unfit(Unfit::new("UNREADABLE", message)))
            }
            Err(error) => Err(self.judge(&error)),
        }
    }

    /// Tells what an error of the library means: what our own client kept, or that the answer was not S3's.
    fn judge(&self, error: &object_store::Error) -> Failure {
        self.kept.take().unwrap_or_else(|| strange(error))
    }
}

impl Entry {
    /// Makes an entry of an object, if it is one that is wanted.
    fn of(object: ObjectMeta, below: &str) -> Option<Self> {
        let path = object.location.as_ref().strip_prefix(below)?.to_owned();
        is_wanted(&path).then_some(Self {
            path,
            location: Some(object.location),
            tag: object.e_tag,
            bytes: object.size,
        })
    }

    /// Makes an entry of a key that is no path.
    fn odd(path: String) -> Self {
        Self {
            path,
            location: None,
            tag: None,
            bytes: 0,
        }
    }

    fn listed(&self) -> Listed {
        let found = if self.path.len() > LONGEST_ID {
            let message = format!("the path has more than {LONGEST_ID} bytes");
            Found::Unfit(Unfit::new("ID_TOO_LONG", message))
        } else if self.path.chars().any(char::is_control) {
            Found::Unfit(Unfit::new("PATH_NOT_TEXT", "the path is not text"))
        } else if self.location.is_none() {
            let message = "the key is no path: a segment of it is empty, or one or two dots";
            Found::Unfit(Unfit::new("NO_PATH", message))
        } else if self.bytes > LARGEST {
            too_large(self.bytes)
        } else {
            Found::Listed
        };
        let (path, _) = self.path.split_at(self.path.floor_char_boundary(LONGEST_ID));
        Listed {
            external_id: path.replace('\0', ""),
            version: self.tag.clone(),
            found,
        }
    }
}

/// Leaves out what is no Markdown, and what begins with a dot.
fn is_wanted(path: &str) -> bool {
    let is_hidden = |segment: &str| segment.starts_with('.') && !matches!(segment, "." | "..");
    is_markdown(path) && !path.split('/').any(is_hidden)
}

fn strange(error: &dyn std::error::Error) -> Failure {
    tracing::warn!(%error, "a bucket does not speak S3");
    let message = "what is at the endpoint does not speak S3";
    Failure::new(Class::Config, "SOURCE_STRANGE", message)
}
