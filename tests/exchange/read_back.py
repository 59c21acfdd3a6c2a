"""Imports files of Google, iCloud and a German Outlook, exports them again, and reads the exports with independent libraries:
Python's csv and vobject. Names, addresses, phones and birthdays must equal the expectations in the corpus."""

import csv
import datetime
import io
import json
import pathlib
import sys
import urllib.request

import vobject

origin = sys.argv[1]
corpus = pathlib.Path(__file__).parent.parent / "corpus"
MEMBERS = ("street", "city", "state", "postalCode", "countryOrRegion")


def ask(user, method, path, body=None):
    headers = {"Authorization": f"Bearer {user}", "Content-Type": "application/octet-stream"}
    with urllib.request.urlopen(urllib.request.Request(f"{origin}/me/{path}", body, headers, method=method)) as answer:
        return answer.read().decode()


def person(name, mails, phones, addresses, birthday):
    one_line = lambda text: " ".join(text.split())
    return [[one_line(part) for part in name], sorted(mails), sorted(phones), sorted(addresses), birthday]


def expected(contact):
    stored = contact["stored"]
    address = lambda entry: [" ".join((entry.get(member) or "").split()) for member in MEMBERS]
    return person(
        [stored.get("givenName", ""), stored.get("surname", "")],
        [entry["address"] for entry in stored.get("emailAddresses", [])],
        [entry["number"] for entry in stored.get("phones", [])],
        [address(entry) for entry in stored.get("postalAddresses", [])],
        stored.get("birthday", "")[:10],
    )


def person_of_card(card):
    values = lambda name: [line.value for line in card.contents.get(name, [])]
    text = lambda part: " ".join((part if isinstance(part, str) else " ".join(part)).split())
    address = lambda value: [text(part) for part in (value.street, value.city, value.region, value.code, value.country)]
    [name] = values("n")
    addresses = [address(value) for value in values("adr")]
    birthday = (values("bday") or [""])[0]
    if len(birthday) == 8:
        birthday = datetime.datetime.strptime(birthday, "%Y%m%d").date().isoformat()
    return person([text(name.given), text(name.family)], values("email"), values("tel"), addresses, birthday[:10])


def person_of_row(row):
    numbered = lambda kind: [row[name] for name in row if name.startswith(kind) and name.endswith(" - Value") and row[name]]
    places = [name.removesuffix(" - Label") for name in row if name.startswith("Address ") and name.endswith(" - Label")]
    columns = ("Street", "City", "Region", "Postal Code", "Country")
    addresses = [[" ".join(row[f"{place} - {column}"].split()) for column in columns] for place in places]
    unguarded = lambda text: text[1:] if text[:1] == "'" and text.lstrip("'")[:1] in ("=", "+", "-", "@") else text
    birthday = row["Birthday"].strip()
    return person(
        [unguarded(row["First Name"]), unguarded(row["Last Name"])],
        [unguarded(value) for value in numbered("E-mail ")],
        [unguarded(value) for value in numbered("Phone ")],
        [address for address in addresses if any(address)],
        f"1604-{birthday[2:]}" if birthday.startswith("--") else birthday,
    )


def assert_same(description, found, wanted):
    found, wanted = sorted(map(json.dumps, found)), sorted(map(json.dumps, wanted))
    difference = lambda left, right: [entry for entry in left if entry not in right][:3]
    assert found == wanted, f"{description}: found {difference(found, wanted)}, wanted {difference(wanted, found)}"
    assert len(found) > 20, description


for user, name in (("google", "csv/google-new.csv"), ("icloud", "vcard/apple-macos-3.0.vcf"), ("outlook", "csv/outlook-desktop-de-cp1252.csv")):
    wanted = [expected(contact) for contact in json.loads((corpus / f"{name}.expected.json").read_text())["contacts"]]
    ask(user, "POST", "contacts/$import", (corpus / name).read_bytes())
    cards = vobject.readComponents(ask(user, "GET", "contacts/$export?format=vcard3"))
    assert_same(f"{name} as cards", [person_of_card(card) for card in cards], wanted)
    rows = csv.DictReader(io.StringIO(ask(user, "GET", "contacts/$export?format=csv-google"), newline=""))
    assert_same(f"{name} as rows", [person_of_row(row) for row in rows], wanted)
print("independent libraries read the exports")
