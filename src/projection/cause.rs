//! Why a row of the read store is not what the primary says: what the log knows of its key decides, and nothing else.

/// Why a row differs. The order is that of reports: what needs a decision comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Written differently, and the same by the rule of its column.
    Representation,
    /// Its newest event is behind the projector's place: it is on its way.
    Lagging,
    /// The log has newer events of it than the one that the read store shows: they were skipped.
    Skipped,
    /// The read store shows an older event than one that had been delivered before it, or may have been.
    TimeTravel,
    /// The log says that it is gone, and the read store shows it as it was before.
    Resurrected,
    /// The log agrees with the primary and has never said what the read store shows: a hand.
    OffHistory,
    /// The same, of many rows and in the same way: whoever writes them computes something else.
    Miscomputed,
    /// The log agrees with the primary, but is too short to say what the read store shows.
    NotNewest,
    /// The primary changed, and the log never heard of it.
    LostEvent,
    /// Nothing is wrong with the row, but a replay would break it: the log lacks what both sides have.
    LogIncomplete,
    /// None of these.
    Unexplained,
}

impl Cause {
    /// Every cause, in the order of reports.
    pub const ALL: [Cause; 11] = [
        Cause::Representation,
        Cause::Lagging,
        Cause::Skipped,
        Cause::TimeTravel,
        Cause::Resurrected,
        Cause::OffHistory,
        Cause::Miscomputed,
        Cause::NotNewest,
        Cause::LostEvent,
        Cause::LogIncomplete,
        Cause::Unexplained,
    ];

    /// Its word in JSON and in flags.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Cause::Representation => "representation",
            Cause::Lagging => "lagging",
            Cause::Skipped => "skipped",
            Cause::TimeTravel => "time_travel",
            Cause::Resurrected => "resurrected",
            Cause::OffHistory => "off_history",
            Cause::Miscomputed => "miscomputed",
            Cause::NotNewest => "not_newest",
            Cause::LostEvent => "lost_event",
            Cause::LogIncomplete => "log_incomplete",
            Cause::Unexplained => "unexplained",
        }
    }

    /// What it means, as the end of a sentence that begins with the number of rows.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Cause::Representation => "written differently and mean the same",
            Cause::Lagging => "on their way: the projector has not come to their newest event",
            Cause::Skipped => "show an older event: newer ones were skipped",
            Cause::TimeTravel => "show an older event that came after a newer one (time travel)",
            Cause::Resurrected => "show what the log has deleted",
            Cause::OffHistory => "show what no event has ever said: changed by hand",
            Cause::Miscomputed => {
                "show what no event has ever said, all in the same way: the projector computes something else"
            }
            Cause::NotNewest => {
                "are not what the newest event says; the log is too short to say more"
            }
            Cause::LostEvent => "changed in the primary, and the log never heard of it",
            Cause::LogIncomplete => {
                "are right, and not in the log as they are: a replay would break them"
            }
            Cause::Unexplained => "are explained by nothing that the log says",
        }
    }

    /// What removes it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Cause::Representation => "nothing, or the mapping",
            Cause::Lagging => "wait",
            Cause::Skipped | Cause::TimeTravel | Cause::Resurrected | Cause::OffHistory => {
                "reconcile, or any replay"
            }
            Cause::Miscomputed => "mend the projector first; then reconcile, or any replay",
            Cause::NotNewest => "reconcile, or any replay",
            Cause::LostEvent => "reconcile; a replay would keep it",
            Cause::LogIncomplete => "nothing; never replay",
            Cause::Unexplained => "look at it; reconcile with --include unexplained",
        }
    }

    /// Whether the evidence agrees on what the row should be, so that it may be repaired without anybody looking at it.
    #[must_use]
    pub fn is_clear(self) -> bool {
        !matches!(
            self,
            Cause::Lagging | Cause::LogIncomplete | Cause::Unexplained
        )
    }

    /// Whether a replay of the log brings the row to what the primary says.
    #[must_use]
    pub fn is_fixed_by_replay(self) -> bool {
        !matches!(
            self,
            Cause::LostEvent | Cause::LogIncomplete | Cause::Unexplained
        )
    }
}

/// How much of what has been the log still holds, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Everything from the beginning.
    Whole,
    /// Of every key at least the newest event; deletes may have left it.
    Compacted,
    /// What was before some offset has left it.
    Cut,
}
