//! Knowledge as pointers: for each item a short text that says what it is about and where it is.
//!
//! Whoever searches memories then also finds that there is an item, and reads it where it is kept. Items are listed folder by
//! folder with the job's own token, so a job points to nothing that its starter may not see; one that is no longer there, no
//! longer visible, or no longer of a wanted status is gone. The position is the path of the last item.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{Found, LONGEST_ID, Listed, Page, Unfit, sorted};
use crate::connection::KnowledgePointers as Settings;
use crate::job::{Class, Failure};
use crate::lease::Lease;
use crate::target::{For, Services};

/// Longest text that is taken over from an item, in characters.
const LONGEST: usize = 600;

/// Most entries of a page of a folder; what the knowledge service gives at most.
const ENTRIES: usize = 200;

/// Knowledge, listed.
#[derive(Debug)]
pub struct Knowledge {
    services: Services,
    whose: Whose,
    settings: Settings,
    heads: Arc<[Head]>,
}

/// For whom items are read; owned, because a source outlives its opening.
#[derive(Debug, Clone)]
struct Whose {
    scope: aeterna_kit::auth::TenantScope,
    connection: uuid::Uuid,
    job: uuid::Uuid,
    roles: Vec<String>,
    lease: Lease,
}

impl Whose {
    fn of(whose: For<'_>) -> Self {
        Self {
            scope: aeterna_kit::auth::TenantScope::for_worker(whose.tenant.clone()),
            connection: whose.connection,
            job: whose.job,
            roles: whose.roles.to_vec(),
            lease: whose.lease.clone(),
        }
    }

    fn borrow(&self) -> For<'_> {
        For {
            tenant: self.scope.tenant(),
            connection: self.connection,
            job: self.job,
            roles: &self.roles,
            origin: "knowledge",
            lease: &self.lease,
        }
    }
}

/// An item in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    path: String,
    version: String,
}

/// A page of a folder.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

/// An item or a folder.
#[derive(Debug, Deserialize)]
struct Entry {
    path: String,
    kind: Option<String>,
    status: Option<String>,
    version: Option<i64>,
}

/// What is read of an item.
#[derive(Debug, Deserialize)]
struct Item {
    path: String,
    title: String,
    kind: String,
    status: String,
    summary: Option<String>,
    content: String,
}

impl Knowledge {
    /// Lists the items that pointers are made of.
    ///
    /// # Errors
    /// When the knowledge service does not answer, or there are more than `most`.
    pub async fn open(services: &Services, whose: For<'_>, settings: &Settings, most: u64) -> Result<Self, Failure> {
        let root = if settings.path_prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", settings.path_prefix)
        };
        let (mut folders, mut heads) = (vec![root], Vec::new());
        while let Some(folder) = folders.pop() {
            let mut cursor = None;
            loop {
                let listing = list(services, whose, &folder, cursor.as_deref()).await?;
                for entry in listing.entries {
                    match entry.head(settings) {
                        Sorted::Folder(path) => folders.push(path),
                        Sorted::Wanted(head) => heads.push(head),
                        Sorted::Other => {}
                    }
                }
                if u64::try_from(heads.len() + folders.len()).is_ok_and(|count| count > most) {
                    let message = format!("there are more than {most} items of knowledge");
                    return Err(Failure::new(Class::Data, "TOO_MANY_ITEMS", message));
                }
                cursor = listing.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        heads.sort();
        Ok(Self {
            services: services.clone(),
            whose: Whose::of(whose),
            settings: settings.clone(),
            heads: heads.into(),
        })
    }

    /// Returns the page at a position.
    ///
    /// # Errors
    /// When the position is not a path.
    pub fn page(&self, position: Option<&Value>) -> Result<Page, Failure> {
        let listed = |head: &Head| Listed {
            external_id: head.path.clone(),
            version: Some(head.version.clone()),
            found: if head.path.len() > LONGEST_ID {
                Found::Unfit(Unfit::new("ID_TOO_LONG", "the path is too long"))
            } else {
                Found::Listed
            },
        };
        sorted::page("knowledge", &self.heads, position, |head| &head.path, listed)
    }

    /// Reads an item, and makes its pointer.
    ///
    /// # Errors
    /// When the knowledge service does not answer.
    pub async fn read(&self, path: &str) -> Result<Found, Failure> {
        let Some(text) = self.services.read_knowledge(self.whose.borrow(), path, &[]).await? else {
            return Ok(Found::Gone);
        };
        let item: Item = serde_json::from_slice(&text).map_err(|_| strange())?;
        if !self.settings.wants(&item.kind, &item.status) {
            return Ok(Found::Gone);
        }
        Ok(Found::Text(pointer(&item)))
    }
}

/// What an entry of a folder is to a source.
enum Sorted {
    Folder(String),
    Wanted(Head),
    Other,
}

impl Entry {
    fn head(self, settings: &Settings) -> Sorted {
        match (self.kind, self.status, self.version) {
            _ if self.path.ends_with('/') => Sorted::Folder(self.path),
            (Some(kind), Some(status), Some(version)) if settings.wants(&kind, &status) => Sorted::Wanted(Head {
                path: self.path,
                version: version.to_string(),
            }),
            (Some(_) | None, Some(_) | None, Some(_) | None) => Sorted::Other,
        }
    }
}

async fn list(services: &Services, whose: For<'_>, folder: &str, cursor: Option<&str>) -> Result<Listing, Failure> {
    let limit = ENTRIES.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    match services.read_knowledge(whose, folder, &query).await? {
        Some(text) => serde_json::from_slice(&text).map_err(|_| strange()),
        // A folder that became empty meanwhile is not there any more.
        None => Ok(Listing {
            entries: Vec::new(),
            next_cursor: None,
        }),
    }
}

fn strange() -> Failure {
    let message = "the knowledge service answered something else than knowledge";
    Failure::new(Class::Config, "SOURCE_STRANGE", message)
}

/// Makes the text of a pointer: the title, what the item is about, its kind and where it is.
fn pointer(item: &Item) -> String {
    let about = item
        .summary
        .as_deref()
        .map(str::trim)
        .filter(|summary| !summary.is_empty())
        .map_or_else(|| first_paragraph(&item.content), ToOwned::to_owned);
    let about = cut(&about);
    let place = format!("[{}] {}", item.kind.to_uppercase(), item.path);
    if about.is_empty() {
        format!("{}\n\n{place}", item.title)
    } else {
        format!("{}\n\n{about}\n\n{place}", item.title)
    }
}

/// Returns the first lines of a text that are no heading, list mark or fence, up to an empty one.
fn first_paragraph(content: &str) -> String {
    let is_text = |line: &&str| !line.is_empty() && !line.starts_with(['#', '`', '|', '>', '-', '*', '~', '<']);
    let lines: Vec<&str> = content
        .lines()
        .map(str::trim)
        .skip_while(|line| !is_text(line))
        .take_while(is_text)
        .collect();
    lines.join(" ")
}

/// Cuts a text at a word.
fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => {
            let (begin, _) = text.split_at(end);
            let word = begin.rfind(char::is_whitespace).unwrap_or(end);
            format!("{} …", begin.split_at(word).0.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(summary: Option<&str>, content: &str) -> Item {
        Item {
            path: "adrs/1.md".to_owned(),
            title: "Use Postgres".to_owned(),
            kind: "adr".to_owned(),
            status: "accepted".to_owned(),
            summary: summary.map(ToOwned::to_owned),
            content: content.to_owned(),
        }
    }

    #[test]
    fn a_pointer_says_what_the_item_is_about_and_where_it_is() {
        let content = "# Use Postgres\n\n## Context\n\nWe need one store\nthat all know.\n\nMore.";
        let expected = "Use Postgres\n\nOne store for all.\n\n[ADR] adrs/1.md";
        assert_eq!(pointer(&item(Some("One store for all."), content)), expected);
        let expected = "Use Postgres\n\nWe need one store that all know.\n\n[ADR] adrs/1.md";
        assert_eq!(pointer(&item(Some(" "), content)), expected);
        assert_eq!(
            pointer(&item(None, "# Only a heading")),
            "Use Postgres\n\n[ADR] adrs/1.md"
        );
    }

    #[test]
    fn only_what_is_wanted_is_pointed_to() {
        let settings: Settings = serde_json::from_str(r#"{"kinds": ["adr"]}"#).expect("settings");
        let entry = |json: serde_json::Value| serde_json::from_value::<Entry>(json).expect("an entry").head(&settings);
        let file =
            |kind: &str, status: &str| serde_json::json!({"path": "a", "kind": kind, "status": status, "version": 3});
        assert!(matches!(entry(file("adr", "accepted")), Sorted::Wanted(head) if head.version == "3"));
        assert!(matches!(entry(file("note", "accepted")), Sorted::Other));
        assert!(matches!(entry(file("adr", "draft")), Sorted::Other));
        assert!(matches!(entry(serde_json::json!({"path": "a/"})), Sorted::Folder(_)));
    }

    proptest! {
        #[test]
        fn a_pointer_is_short_whatever_the_item_holds(summary in prop::option::of("\\PC{0,900}"), content in "(?s).{0,900}") {
            let text = pointer(&item(summary.as_deref(), &content));
            prop_assert!(text.chars().count() <= LONGEST + 100);
            prop_assert!(text.ends_with("[ADR] adrs/1.md"));
        }
    }
}
