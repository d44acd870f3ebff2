//! All vectors of one name, one behind the other in memory.
//!
//! Blocks of a fixed number of rows instead of one long array: growing then never copies what is there, which
//! would stop every search for as long as it takes.

/// Rows of one block: 1 MiB at 256 dimensions.
const ROWS: usize = 1024;

/// The vectors of one name, by row.
#[derive(Debug)]
pub(crate) struct Column {
    size: usize,
    blocks: Vec<Vec<f32>>,
    present: Vec<bool>,
}

impl Column {
    /// Makes an empty column for vectors of this size.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            blocks: Vec::new(),
            present: Vec::new(),
        }
    }

    /// Returns the vector of a row, if it has one.
    pub(crate) fn get(&self, row: usize) -> Option<&[f32]> {
        if !self.present.get(row).copied().unwrap_or_default() {
            return None;
        }
        let start = (row % ROWS) * self.size;
        self.blocks.get(row / ROWS)?.get(start..start + self.size)
    }

    /// Sets or removes the vector of a row; its size has been checked.
    pub(crate) fn set(&mut self, row: usize, vector: Option<&[f32]>) {
        if self.present.len() <= row {
            self.present.resize(row + 1, false);
        }
        if let Some(present) = self.present.get_mut(row) {
            *present = vector.is_some();
        }
        let Some(vector) = vector else { return };
        while self.blocks.len() <= row / ROWS {
            self.blocks.push(vec![0.0; ROWS * self.size]);
        }
        let start = (row % ROWS) * self.size;
        let place = self.blocks.get_mut(row / ROWS);
        if let Some(place) = place.and_then(|block| block.get_mut(start..start + self.size)) {
            place.copy_from_slice(vector);
        }
    }

    /// Counts the rows that have a vector.
    pub(crate) fn count(&self) -> usize {
        self.present.iter().filter(|present| **present).count()
    }
}
