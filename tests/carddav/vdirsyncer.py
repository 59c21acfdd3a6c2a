"""vdirsyncer and khard, unchanged, against a server: discover, create, change and delete in both directions, a conflict, 1,000 cards."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

origin, user, password = sys.argv[1:4]
tools = pathlib.Path(sys.executable).parent
folder = pathlib.Path(tempfile.mkdtemp())
config = folder / "vdirsyncer.conf"
config.write_text(f"""
[general]
status_path = "{folder}/status/"
[pair contacts]
a = "local"
b = "remote"
collections = ["from b"]
conflict_resolution = "b wins"
[storage local]
type = "filesystem"
path = "{folder}/cards/"
fileext = ".vcf"
[storage remote]
type = "carddav"
url = "{origin}/dav/"
username = "{user}"
password = "{password}"
""")
books = folder / "cards"
environment = {**os.environ, "HOME": str(folder)}


def run(*command, answer=""):
    process = subprocess.run(command, input=answer, capture_output=True, text=True, env=environment)
    assert process.returncode == 0, f"{command}: {process.stdout}{process.stderr}"
    return process.stdout


def sync():
    return run(tools / "vdirsyncer", "-c", config, "sync")


def graph(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {password}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{origin}/v1.0/me/{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def contacts():
    found, path = [], "contacts?$top=1000"
    while path:
        page = graph("GET", path)
        found += page["value"]
        path = page.get("@odata.nextLink", "").partition("/me/")[2]
    return found


def card(uid, name, more=""):
    return f"BEGIN:VCARD\nVERSION:3.0\nUID:{uid}\nFN:{name}\nN:{name};;;;\n{more}X-ODD;A=\"b;c\":d\\,e\nEND:VCARD\n"


grace = graph("POST", "contacts", {"givenName": "Grace", "surname": "Hopper"})["id"]
run(tools / "vdirsyncer", "-c", config, "discover", "contacts", answer="y\n" * 10)
sync()
book = books / "contacts"
first = book / f"{grace}.vcf"
assert "FN:Grace Hopper" in first.read_text(), first.read_text()

khard = folder / "khard.conf"
khard.write_text(f"[addressbooks]\n[[contacts]]\npath = {book}\n")
assert "Grace Hopper" in run(tools / "khard", "-c", khard, "list")

# Created by vdirsyncer, visible in Graph. The line that Graph does not know stays.
(book / "ada.vcf").write_text(card("ada", "Ada"))
sync()
[ada] = [contact for contact in contacts() if contact["displayName"] == "Ada"]
graph("PATCH", f"contacts/{ada['id']}", {"jobTitle": "Countess"})
sync()
[path] = [path for path in book.glob("*.vcf") if "UID:ada" in path.read_text()]
text = path.read_text()
assert "TITLE:Countess" in text and 'X-ODD;A="b;c":d\\,e' in text, text

# Changed by vdirsyncer.
path.write_text(text.replace("TITLE:Countess", "TITLE:Mathematician"))
sync()
assert graph("GET", f"contacts/{ada['id']}")["jobTitle"] == "Mathematician"

# Changed on both sides: the server wins.
path.write_text(path.read_text().replace("FN:Ada", "FN:Here"))
graph("PATCH", f"contacts/{ada['id']}", {"nickName": "There"})
sync()
[path] = [path for path in book.glob("*.vcf") if "UID:ada" in path.read_text()]
assert "FN:Ada" in path.read_text() and "NICKNAME:There" in path.read_text(), path.read_text()

# One contact is deleted on each side.
path.unlink()
graph("DELETE", f"contacts/{grace}")
sync()
assert contacts() == [] and list(book.glob("*.vcf")) == []

# The fourth argument is the number of cards.
count = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
for number in range(count):
    (book / f"{number}.vcf").write_text(card(f"u{number}", f"N{number}"))
sync()
assert len(contacts()) == count
sync()
assert len(list(book.glob("*.vcf"))) == count
print("vdirsyncer and khard are done")
