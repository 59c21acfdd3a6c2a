"""Tests of a program that uses contacts through the official SDK. The program is a few lines in each test.

    pip install contactd pytest msgraph-sdk && pytest
"""

import asyncio
import datetime
import pathlib

from azure.identity import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.contact import Contact
from msgraph.generated.models.subscription import Subscription


def with_idempotency_key(key):
    """The configuration of a create that can safely be sent again."""
    configuration = RequestConfiguration()
    configuration.headers.add("Idempotency-Key", key)
    return configuration


async def names(client):
    return [contact.given_name for contact in (await client.me.contacts.get()).value]


def test_each_test_has_a_separate_mailbox(contactd):
    async def program(client):
        assert await names(client) == []
        await client.me.contacts.post(Contact(given_name="Ann"))
        return await names(client)

    assert asyncio.run(program(contactd.graph())) == ["Ann"]


def test_another_test_does_not_see_its_contact(contactd):
    assert asyncio.run(names(contactd.graph())) == []


def test_the_sdk_waits_and_repeats_a_throttled_request(contactd):
    contactd.fault("POST", "/me/contacts", status=429, retry_after=1)
    asyncio.run(contactd.graph().me.contacts.post(Contact(given_name="Ann")))
    assert [request["status"] for request in contactd.requests("POST")] == [429, 201]


def test_a_lost_response_leads_to_a_second_contact_unless_the_create_has_a_key(contactd):
    async def program(client, configuration):
        contactd.fault("POST", when="after", status=504, retry_after=1)
        # The SDK sends the request again by itself.
        await client.me.contacts.post(Contact(given_name="Ann"), configuration)
        return len(await names(client))

    assert asyncio.run(program(contactd.graph(), None)) == 2
    assert asyncio.run(program(contactd.graph(), with_idempotency_key("one"))) == 3
    assert [request["status"] for request in contactd.requests("POST")] == [504, 201, 504, 201]


def test_a_subscription_is_notified_of_a_contact(contactd):
    inbox = contactd.server.inbox(contactd.name)

    async def program(client):
        expiration = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        await client.subscriptions.post(
            Subscription(
                change_type="created",
                notification_url=inbox.url,
                resource="me/contacts",
                expiration_date_time=expiration,
            )
        )
        return await client.me.contacts.post(Contact(given_name="Ann"))

    created = asyncio.run(program(contactd.graph()))
    [post] = inbox.posts()
    assert post["body"]["value"][0]["resourceData"]["id"] == created.id


def test_the_trash_is_purged_after_thirty_days(contactd_clock):
    async def program(client):
        created = await client.me.contacts.post(Contact(given_name="Ann"))
        await client.me.contacts.by_contact_id(created.id).delete()
        return created

    created = asyncio.run(program(contactd_clock.graph()))
    assert created.created_date_time.isoformat() == "2026-01-01T00:00:00+00:00"
    assert contactd_clock.server.advance("P31D")["done"]["purged"] == 1


def test_the_same_requests_get_the_same_responses(contactd_clock):
    async def program(client):
        await client.me.contacts.post(Contact(given_name="Ann"))
        return await names(client)

    assert asyncio.run(program(contactd_clock.graph())) == ["Ann"]
    contactd_clock.assert_golden(pathlib.Path(__file__).with_name("golden.json"))


def test_an_application_signs_in_with_a_secret(contactd_tls):
    async def program():
        credential = ClientSecretCredential(
            "tenant.example", "sync", "any secret", authority=contactd_tls.url, disable_instance_discovery=True
        )
        provider = AzureIdentityAuthenticationProvider(credential, allowed_hosts=["127.0.0.1"])
        adapter = GraphRequestAdapter(provider)
        adapter.base_url = contactd_tls.base_url
        contacts = GraphServiceClient(request_adapter=adapter).users.by_user_id(contactd_tls.name).contacts
        await contacts.post(Contact(given_name="Ann"))
        return [contact.given_name for contact in (await contacts.get()).value]

    assert asyncio.run(program()) == ["Ann"]
    assert {request["token"] for request in contactd_tls.requests()} == {"app:sync"}
