//! Real text: the descriptions of the Debian packages that this machine knows, or any file, one text a line.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Reads a file, one text a line.
///
/// # Errors
/// When it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Reads the descriptions of all packages in apt's lists: name, a colon, the summary and its text.
///
/// # Errors
/// When this machine has no apt, or its lists are empty.
pub fn read_apt() -> Result<Vec<String>> {
    let output = Command::new("apt-cache")
        .arg("dumpavail")
        .output()
        .context("this machine has no apt-cache; give a file with --corpus, one text a line")?;
    ensure!(
        output.status.success(),
        "apt-cache failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let texts = parse(&String::from_utf8_lossy(&output.stdout));
    ensure!(!texts.is_empty(), "apt's lists are empty: run apt-get update");
    Ok(texts)
}

/// Reads Debian control stanzas.
fn parse(dump: &str) -> Vec<String> {
    dump.split("\n\n").filter_map(parse_stanza).collect()
}

fn parse_stanza(stanza: &str) -> Option<String> {
    let name = stanza.lines().find_map(|line| line.strip_prefix("Package: "))?;
    let mut lines = stanza.lines().skip_while(|line| !line.starts_with("Description"));
    let summary = lines.next()?.split_once(": ")?.1;
    let text = lines
        .take_while(|line| line.starts_with(' '))
        .map(str::trim)
        .filter(|line| *line != ".");
    let text: Vec<&str> = text.collect();
    Some(format!("{name}: {summary}. {}", text.join(" ")).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_becomes_one_line_of_text() {
        let dump = "Package: hello\nVersion: 2\nDescription: example package\n The GNU hello program.\n .\n More.\nTag: x\n\nPackage: none\n";
        assert_eq!(parse(dump), ["hello: example package. The GNU hello program. More."]);
    }
}
