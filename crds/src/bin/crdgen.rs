//! Writes `crds/yaml` anew.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    for (file, definition) in aeterna_crds::definitions() {
        std::fs::write(folder.join(file), aeterna_crds::render(&definition)?)?;
    }
    Ok(())
}
