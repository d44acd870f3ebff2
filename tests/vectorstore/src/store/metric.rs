//! Distances between vectors, written so that the compiler turns them into vector instructions.
//!
//! A [`Metric`] answers with a *rank*: the higher, the nearer, whatever the distance. [`Metric::score`] turns it
//! into the number that Qdrant reports, which for the two true distances is smaller the nearer.

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Cosine,
    Dot,
    Euclid,
    Manhattan,
}

/// Independent sums of one loop: two SSE registers, which hides the latency of the additions.
const LANES: usize = 8;

impl Metric {
    /// Brings a vector into the form in which it is stored and compared: of length 1 for the cosine.
    pub(crate) fn prepare(self, mut vector: Vec<f32>) -> Vec<f32> {
        if self == Self::Cosine {
            let square = dot(&vector, &vector);
            // As in Qdrant, a vector of length 0 or already of length 1 is left as it is.
            if square > f32::EPSILON && (square - 1.0).abs() > 1.0e-6 {
                let length = square.sqrt();
                for value in &mut vector {
                    *value /= length;
                }
            }
        }
        vector
    }

    /// Ranks a stored vector against a prepared query: the higher, the nearer.
    pub(crate) fn rank(self, query: &[f32], stored: &[f32]) -> f32 {
        match self {
            Self::Cosine | Self::Dot => dot(query, stored),
            Self::Euclid => -sum(query, stored, |left, right| (left - right) * (left - right)),
            Self::Manhattan => -sum(query, stored, |left, right| (left - right).abs()),
        }
    }

    /// Turns a rank into the score that is reported.
    pub(crate) fn score(self, rank: f32) -> f32 {
        match self {
            Self::Cosine | Self::Dot => rank,
            Self::Euclid => (-rank).sqrt(),
            Self::Manhattan => -rank,
        }
    }

    /// Says whether a score is better than the threshold of a request.
    pub(crate) fn passes(self, score: f32, threshold: f32) -> bool {
        match self {
            Self::Cosine | Self::Dot => score > threshold,
            Self::Euclid | Self::Manhattan => score < threshold,
        }
    }
}

fn dot(left: &[f32], right: &[f32]) -> f32 {
    sum(left, right, |left, right| left * right)
}

fn sum(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (lefts, rights) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let tail = lefts.remainder().iter().zip(rights.remainder());
    let rest: f32 = tail.map(|(left, right)| term(*left, *right)).sum();
    for (left, right) in lefts.zip(rights) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += term(*left, *right);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_longer_than_the_lanes_is_summed_to_its_end() {
        let ones = vec![1.0; 19];
        assert!((Metric::Dot.rank(&ones, &ones) - 19.0).abs() < 1e-6);
        let zeros = vec![0.0; 19];
        let rank = Metric::Manhattan.rank(&ones, &zeros);
        assert!((Metric::Manhattan.score(rank) - 19.0).abs() < 1e-6);
    }

    #[test]
    fn a_cosine_vector_is_stored_normalised() {
        let stored = Metric::Cosine.prepare(vec![3.0, 4.0]);
        assert_eq!(stored, [0.6, 0.8]);
        assert_eq!(Metric::Cosine.prepare(vec![0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(Metric::Dot.prepare(vec![3.0, 4.0]), [3.0, 4.0]);
    }
}
