import json
import urllib.request

import pytest
from contactd_container import ContactdContainer


@pytest.fixture(scope="session")
def container():
    with ContactdContainer() as container:
        yield container


@pytest.fixture
def call(container, request):
    """Sends requests as a user who belongs to this test only."""

    def call(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {request.node.name}", "Content-Type": "application/json"}
        http_request = urllib.request.Request(container.base_url + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(http_request, timeout=10) as response:
            return json.load(response)

    return call


def test_creates(call):
    call("POST", "/me/contacts", {"givenName": "Ann"})
    assert [contact["givenName"] for contact in call("GET", "/me/contacts")["value"]] == ["Ann"]


def test_another_test_does_not_see_it(call):
    assert call("GET", "/me/contacts")["value"] == []
