//! The right to write, as a value: no function that writes can be called without one.

/// Held by whoever was allowed to write. Only the place that asked for consent may grant one.
#[derive(Debug)]
pub struct WritePermit(());

impl WritePermit {
    /// Grants the right. Called after consent only; a test of the house rules holds that.
    #[must_use]
    pub fn grant() -> WritePermit {
        WritePermit(())
    }
}
