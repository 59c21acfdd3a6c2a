"""Imports a large file of cards, exports it, imports the export for another user and exports again: all cards must be equal. A second
import of the same file must change nothing.

    python3 tests/exchange/round.py target/release/contactd 100000

Budget for 100,000 cards with a release build: two minutes on two cores. tests/clients runs 10,000 cards with a debug build."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

program, count = sys.argv[1], int(sys.argv[2])
folder = pathlib.Path(tempfile.mkdtemp())
database = folder / "contacts.db"
WORDS = ("Ann", "Zoë", "Łukasz", "山田", "O'Neil", "van der Berg", "Müller\\, sen.", "a\\;b", "\U0001f600")


def card(number):
    word = lambda shift: WORDS[(number * 7 + shift) % len(WORDS)]
    lines = [
        "BEGIN:VCARD", "VERSION:3.0", f"UID:round-{number}", f"FN:{word(0)} {word(1)} {number}", f"N:{word(1)} {number};{word(0)};;;",
        f"ORG:Company {number % 997};{word(2)}", f"EMAIL;TYPE=INTERNET,WORK:n{number}@example.org", f"TEL;TYPE=CELL:+49 30 {number:07}",
        f"TEL;TYPE=HOME,VOICE:{number}", f"item1.ADR;TYPE=HOME:;;Street {number}\\nrear;{word(3)};;{number:05};Norway",
        "item1.X-ABADR:no", f"BDAY:19{number % 90 + 10}-{number % 12 + 1:02}-{number % 28 + 1:02}", f"CATEGORIES:c{number % 12},{word(4)}",
        f"NOTE:{word(5)} {'long ' * (number % 40)}\\nend {number}", f"X-KEEP;X-P=\"a:b\":{number}", "END:VCARD",
    ]
    return "".join(line + "\r\n" for line in lines)


def contactd(description, *arguments):
    started = time.monotonic()
    command = [program, *arguments, "--database", str(database)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, f"{command}: {process.stdout}{process.stderr}"
    took = time.monotonic() - started
    print(f"{description}: {took:.1f} s, {count / took:,.0f} contacts a second", flush=True)
    return process.stdout


def counts(description, file, user, *more):
    return json.loads(contactd(description, "import", str(file), "--user", user, "--json", *more))["files"][0]["counts"]


def export(description, user):
    file = folder / f"{user}.vcf"
    contactd(description, "export", "--user", user, "--to", str(file))
    return file


def cards_of(file):
    """The cards of a file by their UID, without the time of their last change."""
    cards = {}
    for text in file.read_bytes().decode().split("BEGIN:VCARD\r\n")[1:]:
        lines = [line for line in text.split("\r\n") if not line.startswith("REV:")]
        [uid] = [line for line in lines if line.startswith("UID:")]
        cards[uid] = lines
    return cards


subprocess.run([program, "exec", "--database", str(database), "--", "true"], check=True, capture_output=True)
for user in ("ann", "bob"):
    subprocess.run([program, "user", "add", user, "--database", str(database)], check=True, capture_output=True)
first = folder / "first.vcf"
first.write_text("".join(map(card, range(count))), newline="")
all_of = lambda effect: {"created": 0, "updated": 0, "unchanged": 0, "refused": 0, "groups": 0, effect: count}

assert counts("import", first, "ann") == all_of("created")
assert counts("the same again", first, "ann") == all_of("unchanged")
ann = export("export", "ann")
assert counts("import for another user", ann, "bob") == all_of("created")
bob = export("export again", "bob")
sent, of_ann, of_bob = cards_of(first), cards_of(ann), cards_of(bob)
assert len(of_ann) == count
differ = [uid for uid in of_ann if of_ann[uid] != of_bob.get(uid)]
assert of_ann.keys() == of_bob.keys() and not differ, f"{len(differ)} cards differ, {of_ann[differ[0]]} and {of_bob.get(differ[0])}"
# A stored card is returned as it was sent, except for the folding of its lines.
unfolded = lambda lines: "\r\n".join(lines).replace("\r\n ", "")
differ = [uid for uid in sent if unfolded(sent[uid]) != unfolded(of_ann[uid])]
assert not differ, f"{len(differ)} cards are not as they were sent: {sent[differ[0]]}, {of_ann[differ[0]]}"
print(f"{count} contacts are unchanged after import and export")
