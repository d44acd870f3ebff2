//! How the process ends, for scripts.

/// The exit codes; clap uses 2 for what it cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed, or refused.
    Failed,
    /// There is no such tenant, cluster or API.
    NotFound,
    /// Differences were found, or nothing was ever verified.
    Different,
    /// The time is over; what was begun goes on.
    Timeout,
}

impl Exit {
    /// Returns the number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::NotFound => 3,
            Self::Different => 4,
            Self::Timeout => 5,
        }
    }
}
