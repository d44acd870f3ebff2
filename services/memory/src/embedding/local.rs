//! The local model: a static vector for each token, averaged and normalised.
//!
//! The weights are wordllama's (MIT, 32,000 tokens × 256), fetched by `fetch-weights.sh`. Some 10 µs a short text on one
//! core. The vocabulary is English: texts of other languages are found by shared words only.

use std::path::Path;

use half::f16;
use safetensors::{Dtype, SafeTensors};
use tokenizers::Tokenizer;

use super::{Error, Vector};

const DIMENSION: usize = 256;

/// The model in memory.
pub struct Local {
    tokenizer: Tokenizer,
    // Row by row: token t is at t * DIMENSION.
    weights: Vec<f32>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local")
            .field("tokens", &(self.weights.len() / DIMENSION))
            .finish_non_exhaustive()
    }
}

impl Local {
    /// Loads the model from a directory with `model.safetensors` and `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Load`] when a file is missing or has another shape.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Load {
            path: dir.display().to_string(),
            source,
        };
        let mut tokenizer = Tokenizer::from_file(dir.join("tokenizer.json")).map_err(failed)?;
        tokenizer.with_padding(None);
        // A truncation cannot be refused here: there is none.
        tokenizer.with_truncation(None).map_err(failed)?;
        let bytes = std::fs::read(dir.join("model.safetensors")).map_err(|error| failed(error.into()))?;
        let weights = read_weights(&bytes).map_err(failed)?;
        Ok(Self { tokenizer, weights })
    }

    /// Returns the number of dimensions.
    #[must_use]
    pub fn dimension(&self) -> usize {
        DIMENSION
    }

    /// Embeds a text.
    ///
    /// # Errors
    /// [`Error::Empty`] when it has no token; [`Error::Tokenize`].
    pub fn embed(&self, text: &str) -> Result<Vector, Error> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(Error::Tokenize)?;
        let mut sum = vec![0.0_f32; DIMENSION];
        for token in encoding.get_ids() {
            let start = usize::try_from(*token).unwrap_or(usize::MAX).saturating_mul(DIMENSION);
            if let Some(row) = self.weights.get(start..start.saturating_add(DIMENSION)) {
                for (total, value) in sum.iter_mut().zip(row) {
                    *total += value;
                }
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length <= f32::EPSILON {
            return Err(Error::Empty);
        }
        for value in &mut sum {
            *value /= length;
        }
        Ok(sum)
    }
}

fn read_weights(bytes: &[u8]) -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
    let tensors = SafeTensors::deserialize(bytes)?;
    let tensor = tensors.tensor("embedding.weight")?;
    if tensor.dtype() != Dtype::F16 || tensor.shape().get(1) != Some(&DIMENSION) {
        return Err(format!("embedding.weight is {:?} {:?}", tensor.dtype(), tensor.shape()).into());
    }
    let (halves, _) = tensor.data().as_chunks::<2>();
    Ok(halves.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights that `make build` fetches.
    fn local() -> Local {
        let output = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fetch-weights.sh"))
            .output()
            .expect("fetch-weights.sh runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let dir = String::from_utf8(output.stdout).expect("a path");
        Local::load(Path::new(dir.trim())).expect("the weights load")
    }

    fn similarity(model: &Local, a: &str, b: &str) -> f32 {
        let (a, b) = (model.embed(a).expect("embeds"), model.embed(b).expect("embeds"));
        a.iter().zip(&b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_mean_the_same_are_nearer_than_others() {
        let model = local();
        let query = "a web server written in Rust";
        let near = similarity(&model, query, "an HTTP server implemented in the Rust language");
        let far = similarity(&model, query, "recipes for baking bread and cakes");
        assert!(near > far + 0.2, "{near} {far}");
    }

    #[test]
    fn a_vector_has_length_one_and_an_empty_text_has_none() {
        let model = local();
        let vector = model.embed("hello").expect("embeds");
        assert_eq!(vector.len(), DIMENSION);
        let length = vector.iter().map(|value| value * value).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
        assert!(matches!(model.embed(""), Err(Error::Empty)));
    }

    #[test]
    fn missing_weights_say_how_to_fetch_them() {
        let error = Local::load(Path::new("/nonexistent")).expect_err("nothing there");
        assert!(error.to_string().contains("fetch-weights.sh"), "{error}");
    }
}
