//! The word lists of made-up contacts: names, places and words of several languages, written for this purpose.

mod asian;
mod european;
mod latin;

use std::sync::LazyLock;

/// The words of one language, as they stand in the source: lists separated by commas.
pub(super) struct Words {
    /// Its code for `--locale`.
    pub(super) code: &'static str,
    pub(super) women: &'static str,
    pub(super) men: &'static str,
    /// With `/` where a woman's name has another form.
    pub(super) surnames: &'static str,
    pub(super) titles: &'static str,
    /// Each with its state and its postal code behind semicolons.
    pub(super) cities: &'static str,
    /// With `#` in place of the house number.
    pub(super) streets: &'static str,
    pub(super) country: &'static str,
    pub(super) companies: &'static str,
    pub(super) jobs: &'static str,
    pub(super) departments: &'static str,
    pub(super) note: &'static str,
    /// With a digit for each `x`. Landlines and mobile phones, of ranges that belong to nobody.
    pub(super) landline: &'static str,
    pub(super) mobile: &'static str,
    pub(super) order: NameOrder,
}

/// The order of the parts of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameOrder {
    GivenFirst,
    /// As in Hungary and Vietnam.
    FamilyFirst,
    /// As in China, Japan and Korea.
    FamilyFirstWithoutSpace,
    /// Two surnames, of both parents.
    TwoSurnames,
    /// One name, and no surname for most.
    OneName,
    /// A patronymic in the middle, from the first names of men.
    Patronymic,
}

/// A name, and how it is pronounced where that is written down too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) text: &'static str,
    pub(super) yomi: Option<&'static str>,
}

/// A place whose parts belong together.
#[derive(Debug, Clone, Copy)]
pub(super) struct City {
    pub(super) name: &'static str,
    pub(super) state: &'static str,
    pub(super) code: &'static str,
}

/// The words of one language, taken apart.
pub(super) struct Pool {
    pub(super) words: &'static Words,
    /// Of women, and of men.
    pub(super) given: [Vec<Name>; 2],
    pub(super) surnames: [Vec<Name>; 2],
    pub(super) titles: Vec<&'static str>,
    pub(super) cities: Vec<City>,
    pub(super) streets: Vec<&'static str>,
    pub(super) companies: Vec<Name>,
    pub(super) jobs: Vec<&'static str>,
    pub(super) departments: Vec<&'static str>,
}

/// All of them, in the order of a mix. New ones go to the end: a mix of another number makes other contacts.
pub(super) static POOLS: LazyLock<Vec<Pool>> = LazyLock::new(|| {
    let all = latin::WORDS.iter().chain(european::WORDS).chain(asian::WORDS);
    all.map(Pool::of).collect()
});

fn list(text: &'static str) -> Vec<&'static str> {
    text.split(',').map(str::trim).collect()
}

fn name(text: &'static str) -> Name {
    let (text, yomi) = text.split_once(':').map_or((text, None), |(text, yomi)| (text, Some(yomi)));
    Name { text, yomi }
}

impl Pool {
    fn of(words: &'static Words) -> Self {
        let names = |text| list(text).into_iter().map(name).collect();
        let form = |at: usize| {
            let form = move |text: &'static str| {
                let (man, woman) = text.split_once('/').unwrap_or((text, text));
                name(if at == 0 { woman } else { man })
            };
            list(words.surnames).into_iter().map(form).collect()
        };
        let city = |text: &'static str| {
            let mut parts = text.split(';');
            let mut next = || parts.next().unwrap_or_default();
            City { name: next(), state: next(), code: next() }
        };
        Self {
            words,
            given: [names(words.women), names(words.men)],
            surnames: [form(0), form(1)],
            titles: list(words.titles),
            cities: list(words.cities).into_iter().map(city).collect(),
            streets: list(words.streets),
            companies: names(words.companies),
            jobs: list(words.jobs),
            departments: list(words.departments),
        }
    }
}
