"""Tests of a program that uses contacts: here the program is a line or two in each test.

    pip install contactd pytest && pytest
"""

import pathlib


def test_each_test_has_a_mailbox_of_its_own(contactd):
    assert contactd.call("GET", "/me/contacts").json()["value"] == []
    assert contactd.call("POST", "/me/contacts", {"givenName": "Ann"}).status == 201
    assert len(contactd.call("GET", "/me/contacts").json()["value"]) == 1


def test_and_so_has_this_one(contactd):
    assert contactd.call("GET", "/me/contacts").json()["value"] == []


def test_a_throttle_is_met(contactd):
    contactd.fault("POST", "/me/contacts", status=429, retry_after=0, times=2)
    while contactd.call("POST", "/me/contacts", {"givenName": "Ann"}).status == 429:
        pass
    assert [request["status"] for request in contactd.requests("POST")] == [429, 429, 201]


def test_a_lost_acknowledgement_doubles_a_create_that_has_no_key(contactd):
    for headers, stored in [({}, 2), ({"Idempotency-Key": "one"}, 3)]:
        contactd.fault("POST", when="after", status=504)
        create = [contactd.call("POST", "/me/contacts", {"givenName": "Ann"}, headers).status for _ in range(2)]
        assert create == [504, 201]
        assert len(contactd.call("GET", "/me/contacts").json()["value"]) == stored


def test_the_trash_is_purged_after_thirty_days(contactd_clock):
    made = contactd_clock.call("POST", "/me/contacts", {"givenName": "Ann"}).json()
    assert made["createdDateTime"] == "2026-01-01T00:00:00Z"
    contactd_clock.call("DELETE", f"/me/contacts/{made['id']}")
    assert contactd_clock.server.advance("P31D")["done"]["purged"] == 1


def test_the_same_requests_have_the_same_answers(contactd_clock):
    contactd_clock.call("POST", "/me/contacts", {"givenName": "Ann"})
    contactd_clock.call("GET", "/me/contacts?$select=givenName")
    contactd_clock.assert_golden(pathlib.Path(__file__).with_name("golden.json"))
