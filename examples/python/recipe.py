"""The official Python SDK, unmodified, with contactd: python recipe.py http://127.0.0.1:8080 ann

Or over TLS, with `contactd serve --dev --tls`:
    SSL_CERT_FILE=~/.local/share/contactd/dev-ca.pem python recipe.py https://127.0.0.1:8080 ann
"""

import asyncio
import sys

from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.contact import Contact
from msgraph.generated.models.contact_folder import ContactFolder
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.users.item.contacts.contacts_request_builder import ContactsRequestBuilder
from msgraph_core.tasks.page_iterator import PageIterator


class Token(AccessTokenProvider):
    def __init__(self, token):
        self.token = token

    async def get_authorization_token(self, uri, additional_authentication_context={}):
        return self.token

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])  # an empty list allows every host


async def error_code(call, status):
    """Checks that the call fails with the status, and returns the code of the error."""
    try:
        await call
    except ODataError as error:
        assert error.response_status_code == status, error
        return error.error.code
    raise AssertionError("the call did not fail")


async def main(server, token):
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Token(token)))
    adapter.base_url = f"{server}/v1.0"
    me = GraphServiceClient(request_adapter=adapter).me

    # Create, read and update.
    created = await me.contacts.post(
        Contact(
            given_name="Ann",
            surname="Lee",
            email_addresses=[EmailAddress(address="ann@example.org", name="Ann Lee")],
            business_phones=["+1 732 555 0102"],
            personal_notes="naïve \U0001f600",
        )
    )
    assert created.display_name == "Ann Lee"
    read = await me.contacts.by_contact_id(created.id).get()
    assert (read.personal_notes, read.business_phones) == ("naïve \U0001f600", ["+1 732 555 0102"])
    changed = await me.contacts.by_contact_id(created.id).patch(Contact(job_title="Engineer", business_phones=[]))
    assert (changed.job_title, changed.business_phones, changed.surname) == ("Engineer", [], "Lee")

    # Lists and paging.
    for i in range(25):
        await me.contacts.post(Contact(given_name=f"Contact {i:02}"))
    Query = ContactsRequestBuilder.ContactsRequestBuilderGetQueryParameters
    page = await me.contacts.get(RequestConfiguration(query_parameters=Query(select=["displayName"], top=5, skip=1)))
    assert len(page.value) == 5 and page.value[0].display_name and page.value[0].surname is None
    query = Query(filter="startswith(displayName,'contact 0')", orderby=["displayName desc"], count=True, top=2)
    filtered = await me.contacts.get(RequestConfiguration(query_parameters=query))
    assert filtered.odata_count == 10
    assert [contact.display_name for contact in filtered.value] == ["Contact 09", "Contact 08"]
    found = await me.contacts.get(RequestConfiguration(query_parameters=Query(search='"lee ann"')))
    assert [contact.id for contact in found.value] == [created.id]
    assert await me.contacts.count.get() == 26
    first_page = await me.contacts.get(RequestConfiguration(query_parameters=Query(top=7)))
    names = []
    await PageIterator(first_page, adapter).iterate(lambda contact: names.append(contact.display_name) is None)
    assert len(names) == len(set(names)) == 26, names

    # Delta: each round of changes ends with a link to the next round.
    copy = {}

    async def read_changes(page):
        while True:
            for entry in page.value:
                if "@removed" in entry.additional_data:
                    copy.pop(entry.id, None)
                else:
                    copy[entry.id] = entry
            if not page.odata_next_link:
                return page.odata_delta_link
            page = await me.contacts.delta.with_url(page.odata_next_link).get()

    link = await read_changes(await me.contacts.delta.get())
    assert len(copy) == 26
    await me.contacts.by_contact_id(created.id).patch(Contact(job_title="Director"))
    deleted = await me.contacts.post(Contact(given_name="Gone"))
    await me.contacts.by_contact_id(deleted.id).delete()
    await read_changes(await me.contacts.delta.with_url(link).get())
    assert len(copy) == 26 and copy[created.id].job_title == "Director" and deleted.id not in copy

    # Folders.
    folder = await me.contact_folders.post(ContactFolder(display_name="Work"))
    folder_request = me.contact_folders.by_contact_folder_id(folder.id)
    contact_in_folder = await folder_request.contacts.post(Contact(given_name="Bob"))
    assert contact_in_folder.parent_folder_id == folder.id
    assert [listed.display_name for listed in (await me.contact_folders.get()).value] == ["Work"]
    renamed = await folder_request.patch(ContactFolder(display_name="Former work"))
    assert renamed.display_name == "Former work"
    await folder_request.delete()
    assert await error_code(me.contacts.by_contact_id(contact_in_folder.id).get(), 404) == "ErrorItemNotFound"

    # Delete.
    await me.contacts.by_contact_id(created.id).delete()
    assert await error_code(me.contacts.by_contact_id(created.id).get(), 404) == "ErrorItemNotFound"
    print("the Python recipe is done")


asyncio.run(main(*sys.argv[1:]))
