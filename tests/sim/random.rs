//! The one source of chance: everything that a run does follows from its seed.

/// SplitMix64: small, and good enough for choosing.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own: what is drawn from others does not move it.
    pub(super) fn named(seed: u64, name: &str) -> Self {
        name.bytes().fold(Self::new(seed), |mut stream, byte| Self::new(stream.next() ^ u64::from(byte)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A number from `first` to `last`, both included.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.next() % (last - first + 1)
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(super) fn percent(&mut self, times: u64) -> bool {
        self.next() % 100 < times
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let nth = self.below(of.len());
        of.get(nth)
    }

    pub(super) fn shuffle<T>(&mut self, all: &mut [T]) {
        for nth in (1..all.len()).rev() {
            all.swap(nth, self.below(nth + 1));
        }
    }

    pub(super) fn uuid(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes((u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes())
            .into_uuid()
    }
}
