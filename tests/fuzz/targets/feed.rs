//! Bytes as choices: what an input means where it is not read as it stands. An input that has ended goes on with zeros.

/// What is left of an input.
pub(super) struct Feed<'b>(pub(super) &'b [u8]);

impl<'b> Feed<'b> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Less than `sides`, which is not 0.
    pub(super) fn below(&mut self, sides: usize) -> usize {
        self.number() % sides
    }

    pub(super) fn pick<'o, T>(&mut self, of: &'o [T]) -> Option<&'o T> {
        of.get(usize::from(self.byte()) % of.len().max(1))
    }

    /// Two bytes, little-endian.
    pub(super) fn number(&mut self) -> usize {
        usize::from(self.byte()) | usize::from(self.byte()) << 8
    }

    /// At most so many bytes as they stand.
    pub(super) fn take(&mut self, most: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
