//! A running move: a bar on a terminal; else a line at each step, and at most one every two seconds in between.

use std::io::Write as _;
use std::time::{Duration, Instant};

use aeterna_crds::v1alpha1::MoveStatus;
use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines of the same step.
const QUIET: Duration = Duration::from_secs(2);

/// Shows a running move on standard error: standard output is for the answer.
pub struct Display {
    bar: Option<ProgressBar>,
    told: Option<(String, String, Instant)>,
}

impl Display {
    /// Makes a display; `None` when nothing shall be shown.
    #[must_use]
    pub fn new(shown: bool) -> Option<Self> {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        shown.then(|| Self {
            bar: terminal.then(new_bar),
            told: None,
        })
    }

    /// Shows a status.
    ///
    /// # Errors
    /// When standard error is closed.
    pub fn show(&mut self, moving: &MoveStatus) -> std::io::Result<()> {
        let line = describe(moving);
        if let Some(bar) = &self.bar {
            bar.set_length(u64::try_from(moving.total).unwrap_or_default());
            bar.set_position(u64::try_from(moving.copied).unwrap_or_default());
            bar.set_message(line);
            return Ok(());
        }
        let due = match &self.told {
            Some((step, last, at)) => *step != moving.step || (*last != line && at.elapsed() >= QUIET),
            None => true,
        };
        if due {
            writeln!(std::io::stderr().lock(), "{line}")?;
            self.told = Some((moving.step.clone(), line, Instant::now()));
        }
        Ok(())
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn new_bar() -> ProgressBar {
    // The template is a constant; should it be wrong, the default one will do.
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}").unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn describe(moving: &MoveStatus) -> String {
    let mut line = format!(
        "{} {}: copied {} of {}, caught up {}",
        moving.progress, moving.step, moving.copied, moving.total, moving.caught_up
    );
    if let (Some(rate), Some(left)) = (moving.rate_per_second, moving.eta_seconds) {
        line = format!("{line}, {rate}/s, {left} s left");
    }
    if moving.step == "Verify" {
        line = format!("{line}, compared {}", moving.compared);
    }
    if let Some(what) = &moving.waiting_for {
        line = format!("{line}, waiting for {what}");
    }
    if let Some(error) = &moving.error {
        line = format!("{line}, last error: {error}");
    }
    line
}
