"""Evolution's back end, unchanged, against a server: create, read, change and delete in both directions."""

import os
import sys

if "EVOLUTION_SESSION" not in os.environ:
    # Run in a separate session bus and home folder.
    from graph import environment

    os.execvpe(
        "dbus-run-session", ["dbus-run-session", "--", sys.executable, *sys.argv], {**environment(), "EVOLUTION_SESSION": "1"}
    )

import pathlib
import threading
import time
from urllib.parse import urlsplit

import gi

for name in ("EDataServer", "EBook", "EBookContacts"):
    gi.require_version(name, "1.2")
from gi.repository import EBook, EBookContacts, EDataServer, GLib

from graph import contacts, graph, origin, password, user

address = urlsplit(origin)
sources = pathlib.Path(os.environ["HOME"]) / ".config/evolution/sources"
sources.mkdir(parents=True)
(sources / "contactd.source").write_text(f"""[Data Source]
DisplayName=contactd
Enabled=true
Parent=carddav-stub
[Address Book]
BackendName=carddav
[Authentication]
Host={address.hostname}
Port={address.port}
User={user}
Method=plain/password
RememberPassword=true
[Security]
Method=none
[WebDAV Backend]
ResourcePath=/dav/addressbooks/{user}/contacts/
[Offline]
StaySynchronized=true
""")
loop = GLib.MainLoop()
threading.Thread(target=loop.run, daemon=True).start()
registry = EDataServer.SourceRegistry.new_sync(None)
source = registry.ref_source("contactd")


def credentials(source, reason, pem, errors, error):
    parameters = EDataServer.NamedParameters()
    parameters.set(EDataServer.SOURCE_CREDENTIAL_USERNAME, user)
    parameters.set(EDataServer.SOURCE_CREDENTIAL_PASSWORD, password)
    source.invoke_authenticate(parameters, None, None, None)


source.connect("credentials-required", credentials)
client = EBook.BookClient.connect_sync(source, 30, None)


def until(description, is_expected):
    for _ in range(60):
        client.refresh_sync(None)
        found = client.get_contacts_sync('(contains "x-evolution-any-field" "")', None)[1]
        if is_expected(found):
            return found
        time.sleep(0.5)
    raise AssertionError(f"{description}: {[contact.get_property('full-name') for contact in found]}")


graph("POST", "v1.0/me/contacts", {"givenName": "Grace", "surname": "Hopper"})
until("Evolution sees the contact created through Graph", lambda found: [contact.get_property("full-name") for contact in found] == ["Grace Hopper"])
new_contact = EBookContacts.Contact.new_from_vcard("BEGIN:VCARD\nVERSION:3.0\nFN:Ada\nN:Ada;;;;\nEMAIL:ada@example.org\nX-ODD:1\nEND:VCARD\n")
client.add_contact_sync(new_contact, EBookContacts.BookOperationFlags.NONE if hasattr(EBookContacts, "BookOperationFlags") else 0, None)
[ada] = [contact for contact in contacts() if contact["displayName"] == "Ada"]
graph("PATCH", f"v1.0/me/contacts/{ada['id']}", {"jobTitle": "Countess"})
found = until("Evolution sees the change made through Graph", lambda found: any(contact.get_property("title") == "Countess" for contact in found))
[local_ada] = [contact for contact in found if contact.get_property("full-name") == "Ada"]
local_ada.set_property("nickname", "Augusta")
client.modify_contact_sync(local_ada, 0, None)
assert graph("GET", f"v1.0/me/contacts/{ada['id']}")["nickName"] == "Augusta"
assert graph("GET", f"v1.0/me/contacts/{ada['id']}")["jobTitle"] == "Countess"
client.remove_contact_sync(local_ada, 0, None)
assert [contact["displayName"] for contact in contacts()] == ["Grace Hopper"]
print("Evolution's back end is done")
os._exit(0)
