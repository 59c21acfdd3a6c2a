//! Made-up contacts, for tests and first steps. The contact with a number is a function of the seed and that number alone: the same
//! on every machine and both engines, in whatever order and number they are asked for. No clock, no chance, no fractions.

mod dice;
mod photo;
mod pools;
mod shape;
#[cfg(test)]
mod tests;

use crate::domain::contact::patch::ContactPatch;
use crate::domain::photo::Picture;
use crate::seed::dice::{Dice, Stream};
use crate::seed::pools::{POOLS, Pool};

/// The value of `--locale` for all languages.
pub const MIXED: &str = "mixed";
/// One contact in this many is a duplicate of another.
const DUPLICATES: u64 = 100;
/// How far back that other one may be.
const BACK: u64 = 50;
/// Languages at most.
const MAX_LOCALES: usize = 100;

/// Makes contacts.
#[derive(Clone)]
pub struct Generator {
    seed: u64,
    pools: Vec<&'static Pool>,
    /// The number of contacts in a thousand that have a photo.
    photos: u64,
    duplicates: bool,
}

impl Generator {
    /// Contacts in some languages, as codes with commas between, or in all (`mixed`).
    ///
    /// # Errors
    /// The codes that are known.
    pub fn new(seed: u64, locale: &str) -> Result<Self, String> {
        let known = || {
            let codes: Vec<_> = POOLS.iter().map(|pool| pool.words.code).collect();
            format!("expected mixed, or some of {} with commas between", codes.join(", "))
        };
        let of = |code: &str| POOLS.iter().find(|pool| pool.words.code == code.trim()).ok_or_else(known);
        let pools: Vec<_> = if locale == MIXED {
            POOLS.iter().collect()
        } else {
            locale.split(',').take(MAX_LOCALES + 1).map(of).collect::<Result<_, _>>()?
        };
        if pools.len() > MAX_LOCALES {
            return Err(known());
        }
        Ok(Self { seed, pools, photos: 0, duplicates: true })
    }

    /// The same, where this many of a thousand have a photo.
    #[must_use]
    pub fn with_photos(self, per_thousand: u16) -> Self {
        Self { photos: per_thousand.into(), ..self }
    }

    /// The same without duplicates.
    #[must_use]
    pub fn without_duplicates(self) -> Self {
        Self { duplicates: false, ..self }
    }

    /// The contact with this number.
    pub fn contact(&self, number: u64) -> ContactPatch {
        let mut dice = self.dice(Stream::Duplicate, number);
        if !self.duplicates || number == 0 || dice.below(DUPLICATES) > 0 {
            return shape::contact(self, number);
        }
        let other = number - 1 - dice.below(number.min(BACK));
        shape::duplicate(shape::contact(self, other), &mut dice)
    }

    /// The photo of the contact with this number, a PNG of about 5 KB, if it has one.
    pub fn photo(&self, number: u64) -> Option<(Picture, Vec<u8>)> {
        let mut dice = self.dice(Stream::Photo, number);
        if dice.below(1_000) >= self.photos {
            return None;
        }
        let bytes = photo::drawn(&mut dice);
        Picture::recognize(&bytes).ok().map(|picture| (picture, bytes))
    }

    fn dice(&self, stream: Stream, number: u64) -> Dice {
        Dice::new(self.seed, stream, number)
    }
}
