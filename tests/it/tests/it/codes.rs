//! Every code of a problem is named by a test: one that nobody can reach, or that nobody has tried, is no promise.

use std::path::{Path, PathBuf};

use aeterna_kit::problem::Code;
use anyhow::{Context as _, Result, ensure};

/// Codes that no test names.
const UNNAMED: [&str; 0] = [];

/// Reads what the tests of the workspace say: this binary and the others, and the tests inside of the services.
fn read_tests() -> Result<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).context("the workspace")?;
    let mut said = String::new();
    for directory in ["services", "tests"] {
        visit(&root.join(directory), &mut |path| {
            let text = std::fs::read_to_string(path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_test = directory == "tests" || name.ends_with("tests.rs");
            // A file's own tests stand at its end.
            let tests = if is_test {
                Some(text.as_str())
            } else {
                text.split_once("#[cfg(test)]").map(|(_, tests)| tests)
            };
            said.push_str(tests.unwrap_or_default());
            Ok(())
        })?;
    }
    Ok(said)
}

fn visit(directory: &Path, each: &mut impl FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            visit(&path, each)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(&path)?;
        }
    }
    Ok(())
}

#[test]
fn every_code_of_a_problem_is_named_by_a_test() -> Result<()> {
    let said = read_tests()?;
    let is_named = |code: &Code| {
        let (text, _, _) = code.parts();
        let variant = format!("Code::{code:?}");
        let mut places = said.match_indices(&variant).map(|(at, found)| at + found.len());
        // `Code::Expired` does not name `Code::ExpiredToken`.
        let is_whole = |end: usize| !said[end..].starts_with(|next: char| next.is_alphanumeric());
        said.contains(&format!("\"{text}\"")) || places.any(is_whole)
    };
    let unnamed: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !is_named(code))
        .map(|code| code.parts().0)
        .collect();
    ensure!(
        unnamed == UNNAMED,
        "no test names {unnamed:?}; only {UNNAMED:?} may be missing"
    );
    Ok(())
}
