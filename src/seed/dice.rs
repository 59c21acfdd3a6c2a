//! Numbers by counting: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), begun from a
//! seed, a stream and a number.

/// The use of the numbers. Streams do not depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Contact = 1,
    Duplicate,
    Photo,
    Household,
    Firm,
}

/// Draws numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

impl Dice {
    pub(super) fn new(seed: u64, stream: Stream, number: u64) -> Self {
        let seed = mix(seed.wrapping_add(STEP));
        let seed = mix(seed ^ (stream as u64).wrapping_mul(STEP));
        Self(mix(seed.wrapping_add(number.wrapping_mul(STEP))))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// From 0 on, below `end`; 0 where that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        u64::try_from((u128::from(self.next()) * u128::from(end)) >> 64).unwrap_or_default()
    }

    /// True with this probability, in percent.
    pub(super) fn percent(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// True with this probability, in thousandths.
    pub(super) fn permille(&mut self, of_thousand: u64) -> bool {
        self.below(1_000) < of_thousand
    }

    /// A place in a list of this length, the first ones more often than the last.
    pub(super) fn early(&mut self, length: u64) -> u64 {
        let end = self.below(length) + 1;
        self.below(end)
    }

    /// One of a list that is not empty.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = self.below(list.len() as u64);
        &list[usize::try_from(at).unwrap_or_default()]
    }
}
