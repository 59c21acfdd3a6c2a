//! Cards between clients and the store: what a PUT may contain, how it is repaired, what it changes, and what is
//! returned. `vcard` maps cards to contacts.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::error::Fail;
use crate::clock;
use crate::domain::card::CardVersion;
use crate::domain::contact::patch::{ContactPatch, derived_name};
use crate::domain::contact::{Properties, Text};
use crate::domain::photo::Picture;
use crate::store::{CardChange, PhotoChange, WholeCard};
use crate::vcard::Audience;
use crate::vcard::line::Line;
use crate::vcard::put::{put, read_card};
use crate::vcard::read::Projection;
use crate::vcard::render::{self, KeptCard};
use crate::vcard::text::escaped;
use crate::vcard::write::CardContent;

/// Maximum number of unfolded lines of a card, and of parameters of a line.
const MAX_LINES: usize = 10_000;
const MAX_PARAMETERS: usize = 255;

/// Stands for a photo that has changed since, so that its line differs and is replaced.
const ANOTHER_PHOTO: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0";

static NOTHING: LazyLock<Properties> = LazyLock::new(Properties::default);

/// A card for clients: in the given version or, without one, as it is stored.
pub(crate) fn render(whole: &WholeCard, asked: Option<CardVersion>) -> String {
    let id = whole.member.id.to_string();
    let card = whole.card.as_ref();
    let bytes = whole.photo.as_ref().and_then(|(_, bytes)| bytes.as_deref());
    let version = whole.photo.as_ref().map(|(version, _)| *version);
    let shown = CardContent {
        properties: whole.contact.as_ref().map_or(&NOTHING, |contact| &contact.properties),
        uid: card.map_or(id.as_str(), |card| card.shown_uid()),
        photo: bytes,
        last_modified: Some(whole.member.last_modified_date_time),
    };
    let photo_current = card.is_some_and(|card| card.photo_version == version);
    let text = card.and_then(|card| card.whole_text(if photo_current { bytes } else { Some(ANOTHER_PHOTO) }));
    let kept = card.zip(text.as_deref()).map(|(card, text)| {
        // A group has only its text. A UID that another card has is replaced.
        let is_same = whole.contact.as_ref().is_none_or(|contact| contact.version == card.contact_version);
        let has_uid = card.has_own_uid();
        let is_group = whole.contact.is_none();
        KeptCard { text, contact_current: is_group || is_same && has_uid, photo_current: is_group || photo_current }
    });
    render::render(&shown, kept, asked, Audience::CardDav)
}

/// Checks the media type of a PUT.
///
/// # Errors
/// 403 if it is not a vCard, or in another character set than UTF-8.
pub(crate) fn check_type(content_type: &str) -> Result<(), Fail> {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_known = ["", "text/vcard", "text/x-vcard", "text/directory", "application/octet-stream"];
    if !is_known.contains(&media_type.as_str()) {
        return Err(Fail::new(403, "<C:supported-address-data/>", "A card must be sent as text/vcard."));
    }
    let charset =
        parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let charset = charset.map_or_else(String::new, |(_, value)| value.trim().trim_matches('"').to_ascii_lowercase());
    if !matches!(charset.as_str(), "" | "utf-8" | "utf8" | "us-ascii") {
        return Err(invalid("A card must be sent as UTF-8."));
    }
    Ok(())
}

fn invalid(message: &str) -> Fail {
    Fail::new(403, "<C:valid-address-data/>", message)
}

/// A card that a client sent.
pub(crate) struct SentCard {
    body: String,
    version: CardVersion,
    projection: Projection,
    has_name: bool,
}

impl SentCard {
    /// Reads the body of a PUT.
    ///
    /// # Errors
    /// 403 if it is not a card of version 3.0 or 4.0.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Fail> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let body = str::from_utf8(body).map_err(|_| invalid("The card is not UTF-8."))?;
        let is_bad =
            |c: char| matches!(c, '\0'..'\t' | '\x0b' | '\x0c' | '\x0e'..' ' | '\x7f' | '\u{fffe}' | '\u{ffff}');
        if body.contains(is_bad) || body.replace("\r\n", "").contains('\r') {
            return Err(invalid("The card has a control character."));
        }
        let (version, has_name) = check_lines(body)?;
        Ok(Self { version, has_name, projection: read_card(body), body: body.to_owned() })
    }

    /// Whether it is the card of a group.
    pub(crate) fn is_group(&self) -> bool {
        self.projection.is_group
    }

    /// The changes to the current card; `None` if a GET returns the same already.
    pub(crate) fn change(&self, before: Option<&WholeCard>) -> Option<CardChange> {
        if before.is_some_and(|before| render(before, None) == self.body) {
            return None;
        }
        let (patch, photo) = self.changes(before);
        let Self { body, version, projection, has_name } = self;
        let is_group = projection.is_group;
        let sent_uid = projection.uid.as_ref().map(|from| from.value.clone());
        let (mut uid, mut missing) = (sent_uid, Vec::new());
        if uid.is_none() {
            let id = before.map(|before| before.member.id.to_string());
            let kept = before.and_then(|before| before.card.as_ref()).map(|card| card.shown_uid().to_owned());
            let made = kept.or(id).unwrap_or_else(|| clock::new_id(clock::IdOwner::Nobody).to_string());
            missing.push(format!("UID:{}", escaped(&made)));
            uid = Some(made);
        }
        // Apple silently drops cards without FN.
        if projection.texts[Text::DisplayName as usize].is_none() && !has_line(body, "FN") {
            missing.push(format!("FN:{}", escaped(&shown_name(projection))));
        }
        if *version == CardVersion::V3 && !has_name {
            missing.push("N:;;;;".to_owned());
        }
        let text = with_lines(body.clone(), &missing);
        Some(CardChange { patch, photo, uid, is_group, version: *version, text })
    }

    /// The changes to the contact and the photo.
    fn changes(&self, before: Option<&WholeCard>) -> (ContactPatch, PhotoChange) {
        if self.projection.is_group {
            return (ContactPatch::default(), PhotoChange::Keep);
        }
        let recognized = |bytes: Vec<u8>| match Picture::recognize(&bytes) {
            Ok(picture) => PhotoChange::Put(picture, bytes),
            // The line stays in the card.
            Err(_) => PhotoChange::Keep,
        };
        let Some((whole, contact)) = before.and_then(|whole| Some((whole, whole.contact.as_ref()?))) else {
            let mut projection = self.projection.clone();
            let photo = projection.photo.take().map_or(PhotoChange::Keep, |from| recognized(from.value));
            return (projection.into_patch(), photo);
        };
        let shown = render(whole, Some(self.version));
        let changed = put(&contact.properties, &shown, &self.body);
        let photo = match changed.photo {
            None => PhotoChange::Keep,
            Some(None) => PhotoChange::Remove,
            Some(Some(bytes)) => recognized(bytes),
        };
        (changed.patch, photo)
    }
}

/// The name of a contact whose card has none.
fn shown_name(projection: &Projection) -> String {
    let text = |text: Text| projection.texts[text as usize].as_ref().map(|from| from.value.as_str());
    let email = projection.emails.iter().find_map(|from| from.value.address.as_deref());
    let derived = derived_name(text(Text::GivenName), text(Text::Surname), text(Text::CompanyName), email);
    let phone = || projection.phones.iter().find_map(|from| from.value.number.clone());
    derived.or_else(phone).unwrap_or_default()
}

/// Checks the lines of a card. Returns its version, and whether it has N.
fn check_lines(body: &str) -> Result<(CardVersion, bool), Fail> {
    // Blank lines cost memory too, so they are counted before the lines are unfolded.
    let begun = body.split('\n').filter(|line| !line.starts_with([' ', '\t']));
    if begun.take(2 * MAX_LINES + 1).count() > 2 * MAX_LINES {
        return Err(invalid("The card has more than 10,000 lines."));
    }
    let (mut version, mut has_name, mut has_ended, mut count) = (None, false, false, 0);
    for line in unfolded(body) {
        if line.trim().is_empty() {
            continue;
        }
        if has_ended {
            return Err(invalid("There is text after the end of the card."));
        }
        count += 1;
        if count > MAX_LINES {
            return Err(invalid("The card has more than 10,000 lines."));
        }
        let Some(parsed) = Line::parse(&line) else {
            return Err(invalid("A line of the card has no name, or no colon."));
        };
        if count == 1 && !(parsed.is("BEGIN") && parsed.value.trim().eq_ignore_ascii_case("VCARD")) {
            return Err(invalid("The body does not begin with BEGIN:VCARD."));
        }
        if parsed.is("BEGIN") && count > 1 {
            return Err(invalid("There is more than one card in the body, or a nested one."));
        }
        if parsed.params().take(MAX_PARAMETERS + 1).count() > MAX_PARAMETERS {
            return Err(invalid("A line of the card has more than 255 parameters."));
        }
        if parsed.is("VERSION") {
            let found = CardVersion::of(parsed.value.trim());
            let refused = || Fail::new(403, "<C:supported-address-data/>", "Cards must be of version 3.0 or 4.0.");
            let found = found.ok_or_else(refused)?;
            if version.replace(found).is_some() {
                return Err(invalid("The card has more than one VERSION line."));
            }
        }
        has_name |= parsed.is("N");
        if parsed.is("END") {
            if !parsed.value.trim().eq_ignore_ascii_case("VCARD") {
                return Err(invalid("The card does not end with END:VCARD."));
            }
            has_ended = true;
        }
    }
    match version {
        _ if count == 0 || !has_ended => Err(invalid("The card does not begin, or does not end.")),
        None => Err(invalid("The card has no VERSION line.")),
        Some(version) => Ok((version, has_name)),
    }
}

/// The lines of a card, with their folds undone.
pub(crate) fn unfolded(body: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in body.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(before)) => before.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The unfolded lines with one of these names, in upper case, and perhaps some lines with other names. Others are not unfolded.
pub(crate) fn named_lines<'t>(body: &'t str, names: &[String]) -> Vec<Cow<'t, str>> {
    let mut lines: Vec<Cow<'t, str>> = Vec::new();
    let (mut has_begun, mut is_wanted) = (false, false);
    for line in body.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(rest) = line.strip_prefix([' ', '\t']).filter(|_| has_begun) {
            if let Some(before) = lines.last_mut().filter(|_| is_wanted) {
                before.to_mut().push_str(rest);
            }
            continue;
        }
        (has_begun, is_wanted) = (true, may_be_named(line, names));
        if is_wanted {
            lines.push(Cow::Borrowed(line));
        }
    }
    lines
}

/// Whether the line that begins so may have one of these names. A line with a quote before the end of its name, or folded
/// before it, may have any.
fn may_be_named(line: &str, names: &[String]) -> bool {
    let Some(end) = line.bytes().position(|byte| matches!(byte, b':' | b';' | b'"')) else { return true };
    let (name, rest) = line.split_at(end);
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name).trim();
    rest.starts_with('"') || names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}

fn has_line(body: &str, name: &str) -> bool {
    unfolded(body).iter().any(|line| Line::parse(line).is_some_and(|line| line.is(name)))
}

/// A card with more lines, before its end.
fn with_lines(body: String, lines: &[String]) -> String {
    if lines.is_empty() {
        return body;
    }
    let end = if body.contains("\r\n") { "\r\n" } else { "\n" };
    // The card is checked: its last line that is not blank is END.
    let last = body.trim_end().rfind('\n').map_or(0, |at| at + 1);
    let (card, ending) = body.split_at(last);
    let mut out = card.to_owned();
    for line in lines {
        out.push_str(line);
        out.push_str(end);
    }
    out.push_str(ending);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(lines: &str) -> String {
        format!("BEGIN:VCARD\r\nVERSION:3.0\r\n{lines}END:VCARD\r\n")
    }

    fn refusal(body: &str) -> String {
        match SentCard::read(body.as_bytes()) {
            Ok(_) => String::new(),
            Err(Fail::Precondition(status, element, _)) => format!("{status} {element}"),
            Err(Fail::Error(error)) => error.to_string(),
        }
    }

    #[test]
    fn what_is_no_card_is_refused_by_its_precondition() {
        let many = |count: usize| card(&"X-A:b\r\n".repeat(count));
        let parameters = |count: usize| card(&format!("X-A{}:b\r\n", ";x=y".repeat(count)));
        let version = |version: &str| format!("BEGIN:VCARD\r\nVERSION:{version}\r\nFN:a\r\nEND:VCARD\r\n");
        for body in [
            card(""),
            many(9_997),
            parameters(255),
            version("4.0"),
            version(" 3.0 "),
            "\u{feff}".to_owned() + &card(""),
            card("") + "\r\n \r\n",
            card("").replace("\r\n", "\n"),
            "begin:vcard\nFN:x\nversion:4.0\nend:vcard".to_owned(),
            card("NOTE:a\r\n\tb\r\n"),
        ] {
            assert_eq!(refusal(&body), "", "{}", &body[..body.len().min(60)]);
        }
        for body in [version("2.1"), version("5"), version("")] {
            assert_eq!(refusal(&body), "403 <C:supported-address-data/>", "{body}");
        }
        for body in [
            String::new(),
            "x".to_owned(),
            many(9_998),
            card("") + &"\n".repeat(20_000),
            parameters(256),
            card("") + &card(""),
            card("BEGIN:VCARD\r\nEND:VCARD\r\n"),
            card("no colon\r\n"),
            card("NOTE:\u{1}\r\n"),
            card("NOTE:a\rb\r\n"),
            card("NOTE:\u{ffff}\r\n"),
            card("VERSION:3.0\r\n"),
            "BEGIN:VCARD\r\nFN:a\r\nEND:VCARD\r\n".to_owned(),
            "BEGIN:VCARD\r\nVERSION:3.0\r\n".to_owned(),
            "VERSION:3.0\r\nEND:VCARD\r\n".to_owned(),
            "BEGIN:VCALENDAR\r\nVERSION:3.0\r\nEND:VCALENDAR\r\n".to_owned(),
        ] {
            assert_eq!(refusal(&body), "403 <C:valid-address-data/>", "{}", &body[..body.len().min(60)]);
        }
        assert!(matches!(
            SentCard::read(b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:\xff\r\nEND:VCARD"),
            Err(Fail::Precondition(403, ..))
        ));
    }

    #[test]
    fn what_a_card_lacks_is_added_before_its_end() {
        let sent = SentCard::read(card("EMAIL:ann@example.org\r\n").as_bytes()).ok().unwrap();
        let change = sent.change(None).unwrap();
        let uid = change.uid.unwrap();
        let added = format!("EMAIL:ann@example.org\r\nUID:{uid}\r\nFN:ann@example.org\r\nN:;;;;\r\n");
        assert_eq!(change.text, card(&added));
        let whole = card("UID:u\r\nFN:\r\nN:;;;;\r\n");
        assert_eq!(SentCard::read(whole.as_bytes()).ok().unwrap().change(None).unwrap().text, whole);
    }

    #[test]
    fn lines_are_found_by_name_as_among_all_lines() {
        let names = ["EMAIL".to_owned(), "X-A".to_owned()];
        let text = "\tx-a:0\r\nBEGIN:VCARD\nEMAIL;TYPE=a:1\r\n 2\n\t3\r\nNOTE:EMAIL\r\n EMAIL:4\r\nitem1.eMail :5\nEM\n AIL:6\n\
                    x-a;P=\"b:\n c\":7\n\"q;X-A\":8\nEMAIL\n\n:9\nEMAIL.NOTE:10\nX-A.EMAIL:11\nEND:VCARD\n";
        let is_wanted = |line: &Line<'_>| names.iter().any(|name| line.is(name));
        let of = |lines: &[String]| {
            let lines = lines.iter().filter(|line| Line::parse(line).is_some_and(|line| is_wanted(&line)));
            lines.cloned().collect::<Vec<_>>()
        };
        let found: Vec<_> = named_lines(text, &names).into_iter().map(Cow::into_owned).collect();
        assert_eq!(of(&found), of(&unfolded(text)));
        assert_eq!(
            of(&found),
            ["\tx-a:0", "EMAIL;TYPE=a:123", "item1.eMail :5", "EMAIL:6", "x-a;P=\"b:c\":7", "X-A.EMAIL:11"]
        );
        assert!(found.len() < unfolded(text).len());
    }

    #[test]
    fn types_are_those_that_clients_send() {
        for sent in [
            "",
            "text/vcard",
            "text/vcard; charset=\"UTF-8\"",
            "Text/X-vCard;charset=us-ascii",
            "application/octet-stream",
        ] {
            assert!(check_type(sent).is_ok(), "{sent}");
        }
        for sent in ["text/calendar", "application/vcard+json", "text/vcard; charset=latin1"] {
            assert!(check_type(sent).is_err(), "{sent}");
        }
    }
}
