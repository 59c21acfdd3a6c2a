"""SyncEvolution, unchanged, against a server: discover, list, create, read, change and delete."""

from graph import card, contacts, folder, graph, origin, password, run, user

book = f"{origin}/dav/addressbooks/{user}/contacts/"


def sync(*arguments):
    sign_in = [f"username={user}", f"password={password}", f"syncURL={book}", f"database={book}"]
    return run("dbus-run-session", "--", "syncevolution", "--daemon=no", "--keyring=no", "backend=carddav", *sign_in, *arguments)


def ids():
    lines = sync("--print-items").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("[")]


grace = graph("POST", "v1.0/me/contacts", {"givenName": "Grace", "surname": "Hopper"})["id"]
assert "contacts" in sync("--print-databases"), "SyncEvolution does not find the address book"
assert ids() == [f"{grace}%2evcf"], ids()

source = folder / "in"
source.mkdir()
(source / "ada").write_text(card("ada", "Ada", "NOTE:by SyncEvolution\r\n"))
sync("--import", str(source))
[ada] = [contact for contact in contacts() if contact["displayName"] == "Ada"]
assert ada["personalNotes"] == "by SyncEvolution", ada

graph("PATCH", f"v1.0/me/contacts/{ada['id']}", {"jobTitle": "Countess"})
out = folder / "out"
out.mkdir()
sync("--export", str(out))
texts = [path.read_text() for path in out.iterdir()]
assert len(texts) == 2 and any("TITLE:Countess" in text for text in texts), texts

[name] = [name for name in ids() if not name.startswith(grace)]
sync("--delete-items", "--luids", name)
assert [contact["displayName"] for contact in contacts()] == ["Grace Hopper"]
print("SyncEvolution is done")
