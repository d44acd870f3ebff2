//! Writing a tar archive piece by piece.

use std::io::Result;

use jiff::Timestamp;
use tar::{Builder, EntryType, Header};

/// Writes files into an archive; what is written can be taken at any time.
pub struct Writer {
    builder: Builder<Vec<u8>>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            builder: Builder::new(Vec::new()),
        }
    }
}

impl Writer {
    /// Adds a file. Who owns it and which day it is leave no trace.
    ///
    /// # Errors
    /// When the name cannot be a member's.
    pub fn add(&mut self, name: &str, text: &str, changed: Timestamp) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(changed.as_second()).unwrap_or_default());
        header.set_size(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.builder.append_data(&mut header, name, text.as_bytes())
    }

    /// Takes what was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.builder.get_mut())
    }

    /// Ends the archive, and returns its last piece.
    ///
    /// # Errors
    /// Never, as nothing is written to but memory.
    pub fn finish(self) -> Result<Vec<u8>> {
        self.builder.into_inner()
    }
}
