//! Copies of repositories that nobody needs: those of connections that are gone, and the longest unused where all together
//! are too large. A copy that a worker has stays.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

/// A copy as it lies there.
#[derive(Debug)]
struct Copy {
    connection: Uuid,
    directory: PathBuf,
    lock: PathBuf,
    used_at: SystemTime,
    bytes: u64,
}

/// Returns whose copies there are.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(directory: &Path) -> std::io::Result<Vec<Uuid>> {
    let entries = match std::fs::read_dir(directory) {
        // Nothing was copied yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let whose = |path: PathBuf| {
        let is_ours = path.extension().is_some_and(|kind| kind == "git" || kind == "lock");
        path.file_stem()?.to_str()?.parse().ok().filter(|_| is_ours)
    };
    let all: BTreeSet<Uuid> = entries.flatten().filter_map(|entry| whose(entry.path())).collect();
    Ok(all.into_iter().collect())
}

/// Removes copies out of `all` whose connection is not among `known`, and the longest unused until the rest has at most `most`
/// bytes. What cannot be removed is left for the next time.
pub fn sweep(directory: &Path, all: &[Uuid], known: &[Uuid], most: u64) {
    let (mut kept, gone): (Vec<Copy>, Vec<Copy>) = all
        .iter()
        .map(|connection| look(directory, *connection))
        .partition(|copy| known.contains(&copy.connection));
    for copy in &gone {
        if copy.remove() {
            // Nobody will ask for it any more, so nobody waits for the lock.
            let _ = std::fs::remove_file(&copy.lock);
        }
    }
    kept.sort_by_key(|copy| copy.used_at);
    let mut bytes: u64 = kept.iter().map(|copy| copy.bytes).sum();
    for copy in &kept {
        if bytes <= most {
            break;
        }
        if copy.remove() {
            bytes -= copy.bytes;
        }
    }
}

/// Says that a copy is used now, by its lock.
pub(super) fn touch(lock: &File) {
    // Without it the copy seems older than it is, and may be made anew.
    let _ = lock.set_modified(SystemTime::from(aeterna_kit::clock::now()));
}

fn look(directory: &Path, connection: Uuid) -> Copy {
    let directory = directory.join(format!("{connection}.git"));
    let lock = directory.with_extension("lock");
    let used_at = std::fs::metadata(&lock).and_then(|meta| meta.modified());
    Copy {
        connection,
        used_at: used_at.unwrap_or(SystemTime::UNIX_EPOCH),
        bytes: size(&directory),
        directory,
        lock,
    }
}

impl Copy {
    /// Removes it, unless somebody has it; tells whether it is gone.
    fn remove(&self) -> bool {
        let lock = File::options().create(true).append(true).open(&self.lock);
        let Some(lock) = lock.ok().filter(|lock| lock.try_lock().is_ok()) else {
            return false;
        };
        let removed = super::mirror::remove(&self.directory).is_ok();
        if removed {
            tracing::info!(connection = %self.connection, bytes = self.bytes, "a copy of a repository is removed");
        }
        drop(lock);
        removed
    }
}

/// Returns the bytes of all files below a directory.
fn size(directory: &Path) -> u64 {
    let (mut left, mut bytes) = (vec![directory.to_owned()], 0);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                left.push(entry.path());
            } else {
                bytes += meta.len();
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Makes a copy of 1,000 bytes that was used so many seconds after the epoch.
    fn copy(directory: &Path, used_at: u64) -> Uuid {
        let connection = Uuid::now_v7();
        let copy = directory.join(format!("{connection}.git"));
        std::fs::create_dir_all(copy.join("objects/pack")).expect("made");
        std::fs::write(copy.join("objects/pack/x.pack"), [0; 1_000]).expect("written");
        let lock = File::create(copy.with_extension("lock")).expect("made");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(used_at);
        lock.set_modified(time).expect("set");
        connection
    }

    fn left(directory: &Path) -> Vec<Uuid> {
        let mut left = list(directory).expect("read");
        left.retain(|connection| directory.join(format!("{connection}.git")).exists());
        left
    }

    #[test]
    fn copies_without_a_connection_go_and_the_longest_unused_above_the_bound() {
        let ground = tempfile::tempdir().expect("a directory");
        let directory = ground.path();
        assert!(list(&directory.join("nowhere")).expect("read").is_empty());
        std::fs::write(directory.join("somebody.txt"), "else's").expect("written");
        let copies = [40, 10, 30, 20].map(|used_at| copy(directory, used_at));
        let [newest, oldest, second, forgotten] = copies;
        let all = list(directory).expect("read");
        assert_eq!(all.len(), 4);
        sweep(directory, &all, &[newest, oldest, second], 10_000);
        assert_eq!(left(directory), [newest, oldest, second]);
        assert!(!directory.join(format!("{forgotten}.lock")).exists());
        sweep(directory, &all, &[newest, oldest, second], 2_999);
        assert_eq!(left(directory), [newest, second]);
        // One that a worker has stays, and a newer one goes instead.
        let lock = File::open(directory.join(format!("{second}.lock"))).expect("it is there");
        lock.lock().expect("ours");
        sweep(directory, &all, &[newest, oldest, second], 1_500);
        assert_eq!(left(directory), [second]);
        sweep(directory, &all, &[], 0);
        assert_eq!(left(directory), [second]);
        drop(lock);
        sweep(directory, &all, &[], 0);
        assert!(list(directory).expect("read").is_empty());
        assert!(directory.join("somebody.txt").exists());
    }
}
