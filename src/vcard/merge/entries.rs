//! The lines of collections: e-mails, phones, addresses, web and messenger addresses, children, categories.

use std::collections::BTreeSet;

use crate::domain::contact::Address;
use crate::vcard::Audience;
use crate::vcard::edit::{self, Edit, Rewrite, rewritten};
use crate::vcard::labels;
use crate::vcard::line::{Line, colon};
use crate::vcard::merge::Merger;
use crate::vcard::read::FromLine;
use crate::vcard::write::{Class, NewLine, entries};

/// The change for an entry of the contact.
enum EntryChange {
    /// It is in the line with this index, which gets the new text if there is one.
    There(usize, Option<String>),
    /// It gets a line of its own.
    New(NewLine),
}

impl Merger<'_> {
    pub(super) fn collections(&mut self) {
        let (then, now) = (self.then, &self.ours.read_back);
        self.collection(Class::Emails, &then.emails, &now.emails, |a, b| {
            a.kind == b.kind && a.other_label == b.other_label
        });
        self.collection(Class::Phones, &then.phones, &now.phones, |a, b| a.kind == b.kind);
        self.collection(Class::Addresses, &then.addresses, &now.addresses, |a, b| a.kind == b.kind);
        self.address_labels();
        self.collection(Class::Websites, &then.websites, &now.websites, |a, b| {
            a.kind == b.kind && a.display_name == b.display_name
        });
        self.collection(Class::ImAddresses, &then.im_addresses, &now.im_addresses, |_, _| false);
        self.collection(Class::Children, &then.children, &now.children, |_, _| true);
        self.categories();
    }

    /// Removes LABEL, the text of an address, if the addresses of its type changed, because it would be wrong.
    fn address_labels(&mut self) {
        let of = |list: &[FromLine<Address>], kind: &str| -> Vec<Address> {
            let of_kind = list.iter().filter(|from| from.value.kind.as_deref() == Some(kind));
            of_kind.map(|from| from.value.clone()).collect()
        };
        for (i, line) in self.lines.iter().enumerate().filter(|(_, line)| line.is("LABEL")) {
            let label = line.group.and_then(|group| self.label_of.get(&group.to_ascii_lowercase()));
            let label = label.map(|at| self.lines[*at].value);
            let kind = labels::address(line.types(), label).kind;
            if of(&self.then.addresses, kind) != of(&self.ours.read_back.addresses, kind) {
                self.edits[i] = Edit::Remove;
            }
        }
    }

    fn collection<T: PartialEq>(
        &mut self,
        class: Class,
        then: &[FromLine<T>],
        now: &[FromLine<T>],
        alike: impl Fn(&T, &T) -> bool,
    ) {
        if then.len() == now.len() && then.iter().zip(now).all(|(then, now)| then.value == now.value) {
            return;
        }
        // LABEL counts as an address only if there is no other of its type, so it does not stay when these change.
        let stays = |from: &FromLine<T>| !self.lines[from.line].is("LABEL");
        let mut free: Vec<bool> = then.iter().map(stays).collect();
        let mut matched: Vec<Option<usize>> = vec![None; now.len()];
        for (now, matched) in now.iter().zip(&mut matched) {
            *matched = (0..then.len()).find(|i| free[*i] && then[*i].value == now.value);
            matched.inspect(|i| free[*i] = false);
        }
        let mut targets = Vec::with_capacity(now.len());
        for (now, matched) in now.iter().zip(&matched) {
            let Some(new) = self.ours.line(now.line) else { continue };
            if let Some(i) = matched {
                targets.push(EntryChange::There(then[*i].line, None));
                continue;
            }
            let place = (0..then.len()).find(|i| free[*i] && alike(&then[*i].value, &now.value));
            let changed = place.and_then(|i| {
                let line = &self.lines[then[i].line];
                Some((i, Rewrite { line }.entry(class, new)?))
            });
            match changed {
                Some((i, line)) => {
                    free[i] = false;
                    targets.push(EntryChange::There(then[i].line, Some(line)));
                }
                None => targets.push(EntryChange::New(new.clone())),
            }
        }
        let order: Vec<usize> = then.iter().map(|from| from.line).collect();
        for (i, from) in then.iter().enumerate() {
            if free[i] || !stays_line(self.lines, from.line) {
                self.edits[from.line] = Edit::Remove;
            }
        }
        self.remove_duplicates(&targets);
        self.place(targets, &order);
    }

    /// Removes lines with the same content as a removed or changed line.
    fn remove_duplicates(&mut self, targets: &[EntryChange]) {
        let changed: BTreeSet<usize> = targets
            .iter()
            .filter_map(|target| match target {
                EntryChange::There(line, Some(_)) => Some(*line),
                _ => None,
            })
            .collect();
        for (duplicate, first) in &self.then.duplicates {
            if self.edits[*first] == Edit::Remove || changed.contains(first) {
                self.edits[*duplicate] = Edit::Remove;
            }
        }
    }

    /// Puts the lines into the order of the entries. `order` has the lines in the order in which they were read.
    fn place(&mut self, targets: Vec<EntryChange>, order: &[usize]) {
        let rank = |line: usize| order.iter().position(|other| *other == line);
        let there: Vec<Option<usize>> = targets
            .iter()
            .map(|target| match target {
                EntryChange::There(line, _) => rank(*line),
                EntryChange::New(_) => None,
            })
            .collect();
        let old = there.iter().take_while(|rank| rank.is_some()).count();
        let in_order = there[old..].iter().all(Option::is_none) && there[..old].is_sorted();
        let mut slots: Vec<usize> = targets
            .iter()
            .filter_map(|target| if let EntryChange::There(line, _) = target { Some(*line) } else { None })
            .collect();
        slots.sort_unstable();
        let last = slots.last().copied();
        let mut slots = slots.into_iter();
        let mut further = Vec::new();
        for (i, target) in targets.into_iter().enumerate() {
            match target {
                EntryChange::There(line, changed) if in_order => {
                    if let Some(changed) = changed {
                        self.edits[line] = Edit::Line(changed);
                    }
                }
                EntryChange::New(new) if in_order => further.push(new),
                target => {
                    let whole = match target {
                        EntryChange::There(_, Some(changed)) => Moved::Line(changed),
                        EntryChange::There(line, None) => Moved::Line(self.lines[line].as_written()),
                        EntryChange::New(new) => Moved::New(new),
                    };
                    match (slots.next(), whole) {
                        (Some(slot), Moved::Line(line)) => {
                            let line = if i == 0 { line } else { without_preference(&line) };
                            self.edits[slot] = Edit::Line(line);
                        }
                        (Some(slot), Moved::New(new)) => {
                            self.edits[slot] = Edit::Remove;
                            self.behind.entry(slot).or_default().push(new);
                        }
                        (None, Moved::Line(line)) => {
                            let line = if i == 0 { line } else { without_preference(&line) };
                            let (head, value) = split_line(&line);
                            further.push(NewLine::new(Class::Emails, head, value));
                        }
                        (None, Moved::New(new)) => further.push(new),
                    }
                }
            }
        }
        match last {
            Some(last) => self.behind.entry(last).or_default().extend(further),
            None => self.appended.extend(further),
        }
    }

    fn categories(&mut self) {
        let (then, now) = (&self.then.categories, &self.ours.read_back.categories);
        if then.len() == now.len() && then.iter().zip(now).all(|(then, now)| then.value == now.value) {
            return;
        }
        let names: Vec<&str> = now.iter().map(|from| from.value.as_str()).collect();
        let new = entries::categories_line(&names, Audience::CardDav);
        let new = self.new_line(Class::Categories).cloned().or(new);
        let first = then.iter().map(|from| from.line).min();
        let mapped: BTreeSet<usize> = then.iter().map(|from| from.line).collect();
        for line in mapped {
            self.edits[line] = Edit::Remove;
        }
        match (first, new) {
            (Some(first), Some(new)) => {
                let line = &self.lines[first];
                self.edits[first] = Edit::Line(rewritten(line, &[], Some(&new.head), &new.value));
            }
            (None, new) => self.append(new.as_ref()),
            (Some(_), None) => {}
        }
    }
}

enum Moved {
    Line(String),
    New(NewLine),
}

fn stays_line(lines: &[Line<'_>], at: usize) -> bool {
    !lines[at].is("LABEL")
}

fn split_line(line: &str) -> (&str, &str) {
    match colon(line.as_bytes()) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, ""),
    }
}

/// A line without its preference.
fn without_preference(line: &str) -> String {
    let Some(parsed) = Line::parse(line) else { return line.to_owned() };
    if parsed.preference() > 100 {
        return line.to_owned();
    }
    edit::without_preference(&parsed)
}
