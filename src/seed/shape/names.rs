//! Names: in the order of their language, with all that stands around them.

use unicode_normalization::UnicodeNormalization as _;

use super::{Making, ascii};
use crate::domain::contact::Text;
use crate::seed::pools::NameOrder;

/// Characters of a name that is as long as none should be.
const LONG: usize = 200;

impl Making<'_> {
    /// The name and all that belongs to it. Returns what an address begins with.
    pub(super) fn names(&mut self) -> String {
        let (pool, order) = (self.pool, self.pool.words.order);
        let is_man = self.dice.percent(50);
        let (given, surnames) = (&pool.given[usize::from(is_man)], &pool.surnames[usize::from(is_man)]);
        let mut first = self.dice.pick(given).text.to_owned();
        let first_yomi = given.iter().find(|name| name.text == first).and_then(|name| name.yomi);
        let family = match &self.home {
            Some(home) => &surnames[home.surname.min(surnames.len() - 1)],
            None => self.dice.pick(surnames),
        };
        let mut last = family.text.to_owned();
        match order {
            NameOrder::TwoSurnames => last = format!("{last} {}", self.dice.pick(surnames).text),
            NameOrder::OneName if self.dice.percent(60) => last.clear(),
            _ => {}
        }
        if self.dice.below(10_000) == 0 {
            let long: String = format!("{first} ").repeat(LONG).chars().take(LONG).collect();
            long.trim_end().clone_into(&mut first);
        }
        if self.dice.permille(1) {
            // Letters and marks apart, which look the same.
            first = first.nfd().collect();
        }
        let middle = match order {
            NameOrder::Patronymic => Some(patronymic(self.dice.pick(&pool.given[1]).text, is_man)),
            NameOrder::FamilyFirstWithoutSpace => None,
            _ if self.dice.percent(15) => Some(self.dice.pick(given).text.to_owned()),
            _ => None,
        };
        self.set(Text::GivenName, first.clone());
        if !last.is_empty() {
            self.set(Text::Surname, last.clone());
        }
        if let Some(middle) = &middle {
            self.set(Text::MiddleName, middle.clone());
        }
        if let (Some(first), Some(last)) = (first_yomi, family.yomi) {
            self.set(Text::YomiGivenName, first);
            self.set(Text::YomiSurname, last);
        }
        match order {
            NameOrder::FamilyFirstWithoutSpace => self.set(Text::DisplayName, format!("{last}{first}")),
            NameOrder::FamilyFirst => self.set(Text::DisplayName, format!("{last} {first}")),
            NameOrder::Patronymic if self.dice.percent(50) => {
                self.set(Text::DisplayName, format!("{first} {} {last}", middle.as_deref().unwrap_or_default()));
            }
            _ => {}
        }
        if !last.is_empty() && self.dice.percent(60) {
            self.set(Text::FileAs, format!("{last}, {first}"));
        }
        self.around_names(&first, &last, is_man);
        let local = [ascii(&first), ascii(&last)].into_iter().flatten().collect::<Vec<_>>().join(".");
        let local: String = local.chars().take(40).collect();
        if local.is_empty() { pool.words.code.to_owned() } else { local }
    }

    fn around_names(&mut self, first: &str, last: &str, is_man: bool) {
        if self.dice.percent(6) {
            let title = *self.dice.pick(&self.pool.titles);
            self.set(Text::Title, title);
        }
        if is_man && self.dice.permille(15) {
            let generation = *self.dice.pick(&["Jr.", "Sr.", "II", "III"]);
            self.set(Text::Generation, generation);
        }
        if self.dice.percent(8) {
            let nick: String = first.chars().take(3).collect();
            let nick = if self.dice.percent(2) { format!("{nick} 🦊") } else { nick };
            self.set(Text::NickName, nick);
        }
        if self.dice.percent(10) {
            let initials = first.chars().take(1).chain(last.chars().take(1)).map(|c| format!("{c}."));
            self.set(Text::Initials, initials.collect::<String>());
        }
        if self.dice.percent(10) {
            self.set(Text::Gender, if is_man { "male" } else { "female" });
        }
    }

    /// The name of somebody else.
    pub(super) fn other_person_name(&mut self) -> String {
        let pool = self.pool;
        let of = usize::from(self.dice.percent(50));
        let (first, last) = (self.dice.pick(&pool.given[of]).text, self.dice.pick(&pool.surnames[of]).text);
        match pool.words.order {
            NameOrder::FamilyFirstWithoutSpace => format!("{last}{first}"),
            NameOrder::FamilyFirst => format!("{last} {first}"),
            _ => format!("{first} {last}"),
        }
    }
}

/// The patronymic from a father's name.
fn patronymic(father: &str, is_man: bool) -> String {
    let (stem, soft) = match father.strip_suffix(['й', 'ь']) {
        Some(stem) => (stem, true),
        None => (father.strip_suffix(['а', 'я']).unwrap_or(father), false),
    };
    let ending = match (is_man, soft) {
        (true, false) => "ович",
        (true, true) => "евич",
        (false, false) => "овна",
        (false, true) => "евна",
    };
    format!("{stem}{ending}")
}
