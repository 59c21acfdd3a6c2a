"""pytest fixtures: `contactd` is a user who belongs to the test only, with a separate mailbox."""

import os
import re

import pytest

from . import Server


def pytest_addoption(parser):
    group = parser.getgroup("contactd")
    group.addoption(
        "--contactd-url",
        default=os.environ.get("CONTACTD_URL"),
        help="use the server at this URL, which must run with --dev, instead of starting one (CONTACTD_URL, as `contactd exec` sets it)",
    )
    parser.addini("contactd_handling", "strict (as Graph) or lenient", default="strict")
    parser.addini("contactd_flags", "further flags of contactd serve", type="args", default=[])


def _server(config, *flags, tls=False):
    flags = [*config.getini("contactd_flags"), *flags]
    return Server("--handling", config.getini("contactd_handling"), *flags, tls=tls)


def _user_name(node):
    """The user name for a test: the end of the test's id, which is unique."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", node.nodeid)[-64:].strip("-._")


@pytest.fixture(scope="session")
def contactd_server(pytestconfig):
    """The server of the session; with pytest-xdist each worker has one."""
    url = pytestconfig.getoption("--contactd-url")
    with Server(url=url) if url else _server(pytestconfig) as server:
        yield server


@pytest.fixture
def contactd(contactd_server, request):
    """A user who belongs to this test only."""
    user = contactd_server.user(_user_name(request.node))
    yield user
    # Faults are removed even if the test failed.
    user.clear_faults()


@pytest.fixture
def contactd_clock(pytestconfig, request):
    """The same on a separate server with deterministic responses, because a server has one clock."""
    with _server(pytestconfig, "--deterministic", "1") as server:
        yield server.user(_user_name(request.node))


@pytest.fixture(scope="session")
def contactd_tls_server(pytestconfig):
    """A server of the session over TLS."""
    with _server(pytestconfig, tls=True) as server:
        yield server


@pytest.fixture
def contactd_tls(contactd_tls_server, request, monkeypatch):
    """A user on a server over TLS. Clients that are created in the test trust its certificate."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, contactd_tls_server.authority)
    user = contactd_tls_server.user(_user_name(request.node))
    yield user
    user.clear_faults()
