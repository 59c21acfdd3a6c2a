"""Seeds: documents for several users, and generated contacts, which are the same on every machine."""

import pytest


def contacts(user):
    return user.call("GET", "/me/contacts?$top=999").json()["value"]


def contents(user):
    """The contacts without the properties that differ between mailboxes."""
    of_mailbox = {"id", "changeKey", "createdDateTime", "lastModifiedDateTime", "parentFolderId", "@odata.etag"}
    return [{name: value for name, value in contact.items() if name not in of_mailbox} for contact in contacts(user)]


def test_a_document_fills_mailboxes_and_returns_its_ids(contactd):
    other = contactd.server.user(f"{contactd.name[:50]}.other")
    document = {
        "users": [
            {
                "id": contactd.name,
                "contacts": [{"givenName": "Ann"}, {"givenName": "Bea"}],
                "folders": [{"displayName": "Friends", "contacts": [{"givenName": "Cy"}]}],
            },
            {"id": other.name, "contacts": [{"givenName": "Di"}]},
        ]
    }
    first, second = contactd.server.seed(document)
    assert (first["id"], second["id"]) == (contactd.name, other.name)
    assert [contact["id"] for contact in contacts(contactd) if contact["givenName"] != "Cy"] == first["contacts"]
    [folder] = first["folders"]
    inside = contactd.call("GET", f"/me/contactFolders/{folder['id']}/contacts").json()["value"]
    assert ([contact["id"] for contact in inside], inside[0]["givenName"]) == (folder["contacts"], "Cy")
    assert [contact["givenName"] for contact in contacts(other)] == ["Di"]
    with pytest.raises(RuntimeError, match="^POST /seed: 400 .*givenNam"):
        contactd.server.seed({"users": [{"id": contactd.name, "contacts": [{"givenNam": "x"}]}]})


def test_generated_contacts_are_the_same_for_the_same_numbers(contactd):
    one, same, other, more = (contactd.server.user(f"{contactd.name[:50]}.{n}") for n in range(4))
    options = {"seed": 42, "locale": "ja,ar", "duplicates": False}
    ids = one.seed(20, **options)
    assert len(set(ids)) == 20 and ids == [contact["id"] for contact in contacts(one)]
    same.seed(20, **options)
    other.seed(20, **{**options, "seed": 43})
    more.seed(30, photos=1, **options)
    assert contents(one) == contents(same) != contents(other)
    # A greater count keeps the first ones.
    assert contents(more)[:20] == contents(one)
    photo = [user.call("GET", f"/me/contacts/{contacts(user)[0]['id']}/photo/$value").status for user in (one, more)]
    assert photo == [404, 200]
