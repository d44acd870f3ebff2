//! A folder as a tar archive: what is taken from one, and how one is written.
//!
//! Pure but for the reader that it is given. Whatever an archive says, what leaves [`read`] are texts at checked paths, few
//! enough and short enough: nothing is unpacked anywhere, links and devices are refused, and an archive that lies about its
//! sizes is read no further than the limits. [`order`] says in which order members are written. A written archive depends on
//! the items alone, so equal folders give equal bytes.

pub mod order;
mod write;

use std::collections::HashSet;
use std::io::Read;

use tar::{Archive, Entry, EntryType};

use crate::item::draft::CONTENT;
use crate::item::front_matter;
use crate::path::{FolderPath, ItemPath};

pub use write::Writer;

/// Most members: what one transaction writes within a request's deadline.
pub const MEMBERS: usize = 2000;
/// Most bytes of members in all.
pub const BYTES: usize = 16 << 20;

/// Longest member: the longest text with the longest front matter, and the dashes around that.
const MEMBER: usize = CONTENT + front_matter::LONGEST + 16;

/// Longest archive. A member's header and padding take 1 KiB, a long name as much again and itself.
const ARCHIVE: usize = BYTES + MEMBERS * 4096;

/// Faults that are told, at most.
pub const FAULTS: usize = 50;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it goes.
    pub path: ItemPath,
    /// The file, all of it.
    pub text: String,
}

/// What is wrong with a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its name in the archive.
    pub name: String,
    /// What is wrong.
    pub message: String,
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is larger than the limits.
    #[error("an archive has at most {MEMBERS} files, {BYTES} bytes of text and {ARCHIVE} bytes in all")]
    TooLarge,
    /// It is no tar, or ends too early.
    #[error("the body is not a tar archive: {0}")]
    Broken(String),
    /// Some of its members are not what they should be.
    #[error("{} of the archive's files cannot be items", .0.len())]
    Members(Vec<Fault>),
}

/// Reads an archive whose names are below a folder.
///
/// # Errors
/// [`Refused`] says why nothing of it is taken.
pub fn read(archive: impl Read, folder: &FolderPath) -> Result<Vec<Member>, Refused> {
    let mut bounded = archive.take(u64::try_from(ARCHIVE + 1).unwrap_or(u64::MAX));
    let found = read_members(&mut bounded, folder);
    // Whatever broke: the reader stopped at the limit.
    if bounded.limit() == 0 {
        Err(Refused::TooLarge)
    } else {
        found
    }
}

fn read_members(archive: impl Read, folder: &FolderPath) -> Result<Vec<Member>, Refused> {
    let broken = |error: std::io::Error| Refused::Broken(error.to_string());
    let mut archive = Archive::new(archive);
    let (mut members, mut faults, mut seen, mut bytes) = (Vec::new(), Vec::new(), HashSet::new(), 0);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let named = entry.path_bytes().into_owned();
        let name = String::from_utf8_lossy(&named).into_owned();
        let taken = match std::str::from_utf8(&named) {
            Ok(_) => take(&mut entry, &name, folder).map_err(broken)?,
            Err(_) => Taken::Fault("its name is no text in UTF-8".to_owned()),
        };
        match taken {
            Taken::Nothing => {}
            Taken::Member(member) => {
                bytes += member.text.len();
                if seen.insert(member.path.clone()) {
                    members.push(member);
                } else {
                    let message = "the archive has it twice".to_owned();
                    faults.push(Fault { name, message });
                }
            }
            Taken::Fault(message) => faults.push(Fault { name, message }),
        }
        if members.len() > MEMBERS || bytes > BYTES {
            return Err(Refused::TooLarge);
        }
        if faults.len() == FAULTS {
            break;
        }
    }
    if faults.is_empty() {
        Ok(members)
    } else {
        Err(Refused::Members(faults))
    }
}

enum Taken {
    Nothing,
    Member(Member),
    Fault(String),
}

fn take(entry: &mut Entry<'_, impl Read>, name: &str, folder: &FolderPath) -> std::io::Result<Taken> {
    let kind = entry.header().entry_type();
    // What folders there are, paths say; what holds for all members says nothing about an item.
    if matches!(kind, EntryType::Directory | EntryType::XGlobalHeader) {
        return Ok(Taken::Nothing);
    }
    if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
        return Ok(Taken::Fault(
            "it is no regular file: links and devices are not taken".to_owned(),
        ));
    }
    // `tar -C folder .` names its members so.
    let below = name.strip_prefix("./").unwrap_or(name);
    let path = match ItemPath::parse(&format!("{}{below}", folder.prefix())) {
        Ok(path) => path,
        Err(invalid) => return Ok(Taken::Fault(invalid.to_string())),
    };
    let mut text = Vec::new();
    let bound = u64::try_from(MEMBER + 1).unwrap_or(u64::MAX);
    entry.take(bound).read_to_end(&mut text)?;
    if text.len() > MEMBER {
        return Ok(Taken::Fault(format!("it has more than {MEMBER} bytes")));
    }
    Ok(match String::from_utf8(text) {
        Ok(text) => Taken::Member(Member { path, text }),
        Err(_) => Taken::Fault("it is no text in UTF-8".to_owned()),
    })
}

#[cfg(test)]
mod tests;
