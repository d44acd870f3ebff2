//! Signed marks of how far a tenant's chain had come. They are kept outside of the database; who can rewrite the whole
//! chain there cannot rewrite them too.
//!
//! A line of a checkpoint file is a JSON object: `checkpoint`, the text that is signed, `keyId` and `signature`.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::canonical;
use crate::signing::{Domain, Signed, Signer};

/// How far a chain had come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The tenant.
    pub tenant_id: String,
    /// The number of the last event.
    pub seq: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
    /// When.
    pub at: String,
}

/// Lines that make a file long: one and a half megabyte, whose signatures take a fifth of a second.
const LONGEST: usize = 4_096;

/// The newest lines, none of which goes: a day's, if one is written each minute.
const KEPT: usize = 1_440;

/// A line that is no checkpoint of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is no checkpoint of this tenant signed by this service")]
pub struct Forged;

impl Checkpoint {
    /// Writes a line.
    #[must_use]
    pub fn seal(&self, signer: &Signer) -> String {
        let text = canonical::write(&json!(self));
        let signed = signer.sign(Domain::AuditCheckpoint, text);
        format!("{}\n", canonical::write(&json!(signed)))
    }

    /// Reads lines of one tenant's file; what a crash left of the last line is passed over.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn open_all(file: &[u8], tenant: &str, signer: &Signer) -> Result<Vec<Self>, Forged> {
        let end = file.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let whole = std::str::from_utf8(file.get(..end).unwrap_or_default()).map_err(|_| Forged)?;
        let mut marks: Vec<Self> = whole
            .lines()
            .map(|line| {
                let signed: Signed = serde_json::from_str(line).map_err(|_| Forged)?;
                let text = signer.verify(Domain::AuditCheckpoint, &signed).ok_or(Forged)?;
                let mark: Self = serde_json::from_str(text).map_err(|_| Forged)?;
                if mark.tenant_id == tenant {
                    Ok(mark)
                } else {
                    Err(Forged)
                }
            })
            .collect::<Result<_, _>>()?;
        // Several instances write: two may make the same mark, or end in another order than they began.
        marks.sort_by(|a, b| (a.seq, &a.hash).cmp(&(b.seq, &b.hash)));
        marks.dedup_by(|a, b| a.seq == b.seq && a.hash == b.hash);
        Ok(marks)
    }
}

/// Leaves out every second of the older lines of a file that has become long, so that it has an end: the marks of long ago lie
/// further apart, and each still stands for all that was before it. None for a file that is short enough.
#[must_use]
pub fn thin(file: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() < LONGEST {
        return None;
    }
    let (old, new) = lines.split_at_checked(lines.len() - KEPT)?;
    // The very first one stays.
    Some(
        [
            old.iter().step_by(2).copied().collect::<Vec<_>>().concat(),
            new.concat(),
        ]
        .concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: i64) -> Checkpoint {
        Checkpoint {
            tenant_id: "acme".to_owned(),
            seq,
            hash: "00".to_owned(),
            at: "now".to_owned(),
        }
    }

    #[test]
    fn what_was_sealed_is_read_back_in_order_once_and_without_a_torn_end() {
        let signer = Signer::of_seed([7; 32]);
        let file = [2, 1, 2].map(|seq| mark(seq).seal(&signer)).concat() + "{\"chec";
        assert_eq!(
            Checkpoint::open_all(file.as_bytes(), "acme", &signer),
            Ok(vec![mark(1), mark(2)])
        );
    }

    #[test]
    fn a_mark_of_another_key_tenant_or_text_is_forged() {
        let signer = Signer::of_seed([7; 32]);
        let line = mark(1).seal(&signer);
        assert_eq!(
            Checkpoint::open_all(line.as_bytes(), "acme", &Signer::of_seed([8; 32])),
            Err(Forged)
        );
        assert_eq!(Checkpoint::open_all(line.as_bytes(), "globex", &signer), Err(Forged));
        assert_eq!(
            Checkpoint::open_all(
                line.replace("\\\"seq\\\":1", "\\\"seq\\\":9").as_bytes(),
                "acme",
                &signer
            ),
            Err(Forged)
        );
        assert_eq!(Checkpoint::open_all(b"no JSON\n", "acme", &signer), Err(Forged));
    }

    #[test]
    fn a_long_file_keeps_its_first_and_its_newest_lines_and_does_not_grow_without_end() {
        let (mut file, mut most) = (Vec::new(), 0);
        for n in 0..20_000 {
            file.extend_from_slice(format!("{n}\n").as_bytes());
            if let Some(thinned) = thin(&file) {
                file = thinned;
            }
            most = most.max(file.split(|byte| *byte == b'\n').count() - 1);
        }
        let text = String::from_utf8(file).expect("digits");
        let kept: Vec<usize> = text.lines().map(|line| line.parse().expect("a number")).collect();
        assert!(most < LONGEST && kept.is_sorted() && kept[0] == 0, "{most}");
        let newest: Vec<usize> = (20_000 - KEPT..20_000).collect();
        assert!(kept.ends_with(&newest));
    }
}
