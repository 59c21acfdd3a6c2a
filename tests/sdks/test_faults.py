"""A fault of each kind against the official Python SDK with its retry handler: the requests that it sends, and the stored contacts."""

import asyncio

import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.models.contact import Contact

# Timeout for a stalled connection, in seconds.
PATIENCE = 2

POST = {"method": "POST", "path": "/me/contacts"}
# The fault, the name of the SDK's error, the statuses in the journal, and the number of stored contacts.
FAULTS = {
    "a throttle is waited for": ({"answer": {"status": 429, "retryAfter": 1}}, None, [429, 201], 1),
    "a sequence": ({"answers": [{"status": 503, "retryAfter": 1}, {"status": 429, "retryAfter": 1}]}, None, [503, 429, 201], 1),
    "a throttle without end": ({"times": None, "answer": {"status": 429, "retryAfter": 1}}, "ODataError", [429] * 4, 0),
    "a fault of the server is no throttle": ({"answer": {"status": 500}}, "ODataError", [500], 0),
    "a conflict": ({"answer": {"status": 409}}, "ODataError", [409], 0),
    "a lost answer": ({"when": "after", "answer": {"status": 504, "retryAfter": 1}}, None, [504, 201], 2),
    "a lost answer to a create with a key": ({"when": "after", "answer": {"status": 504, "retryAfter": 1}}, None, [504, 201], 1),
    "a delay": ({"delay": "PT0.2S"}, None, [201], 1),
    "a reset before": ({"connection": "reset"}, "ReadError", [503], 0),
    "a reset after": ({"when": "after", "connection": "reset"}, "ReadError", [201], 1),
    "a close before": ({"connection": "close"}, "RemoteProtocolError", [503], 0),
    "a close after": ({"when": "after", "connection": "close"}, "RemoteProtocolError", [201], 1),
    "a cut": ({"when": "after", "connection": {"truncate": {"bytes": 20}}}, "RemoteProtocolError", [201], 1),
    "a stall": ({"when": "after", "connection": "stall"}, "TimeoutError", [201], 1),
    "a quota": ({"throttle": {"requests": 0, "per": "PT2S"}, "times": 1}, None, [429, 201], 1),
}


async def create_with_fault(user, kind):
    fault, expected, statuses, stored = FAULTS[kind]
    user.fault(match=POST, **fault)
    configuration = RequestConfiguration()
    if "key" in kind:
        configuration.headers.add("Idempotency-Key", "one")
    contacts = user.graph().me.contacts
    error = None
    try:
        create = contacts.post(Contact(given_name="Ann"), configuration)
        await (asyncio.wait_for(create, PATIENCE) if "stall" in kind else create)
    except Exception as raised:
        error = type(raised).__name__
    user.clear_faults()
    found = [request["status"] for request in user.requests(**POST)]
    count = len((await contacts.get()).value)
    return None if (error, found, count) == (expected, statuses, stored) else f"{kind}: {error} {found} {count}"


def test_each_kind_of_fault_meets_the_retry_handler(contactd_server):
    async def all_at_once():
        users = [contactd_server.user(f"python-{kind.replace(' ', '-')}") for kind in FAULTS]
        return await asyncio.gather(*(create_with_fault(user, kind) for user, kind in zip(users, FAULTS)))

    assert [wrong for wrong in asyncio.run(all_at_once()) if wrong] == []


def test_a_delta_link_that_expires_starts_over(contactd):
    async def program(client):
        await client.me.contacts.post(Contact(given_name="Ann"))
        link = (await client.me.contacts.delta.get()).odata_delta_link
        contactd.fault(deltaToken="expired")
        with pytest.raises(Exception) as gone:
            await client.me.contacts.delta.with_url(link).get()
        return gone.value, await client.me.contacts.delta.get()

    gone, again = asyncio.run(program(contactd.graph()))
    assert (gone.response_status_code, gone.error.code, len(again.value)) == (410, "SyncStateNotFound", 1)
    assert [request["status"] for request in contactd.requests("GET")] == [200, 410, 200]
