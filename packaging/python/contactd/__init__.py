"""contactd, a replacement for the contacts of Microsoft Graph in tests."""

import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

__all__ = ["Inbox", "Response", "Server", "User", "find"]

_SERVE = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database", ":memory:", "--stop-with-stdin"]
# Headers that differ between versions of a client.
_CLIENT_HEADERS = {
    "user-agent", "accept", "accept-encoding", "accept-language", "connection", "sec-fetch-mode", "client-request-id", "sdkversion",
}


def find():
    """The path of the program."""
    configured = os.environ.get("CONTACTD_BIN")
    if configured:
        return configured
    folders = [sysconfig.get_path("scripts"), str(pathlib.Path(sys.executable).parent)]
    folders.append(sysconfig.get_path("scripts", f"{os.name}_user"))
    found = shutil.which("contactd", path=os.pathsep.join(folders)) or shutil.which("contactd")
    if not found:
        raise FileNotFoundError(
            "contactd was not found in CONTACTD_BIN, in " + ", ".join(folders) + " or on PATH"
        )
    return found


class Response:
    """A response: status, headers and body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def _opener(authority=None):
    """Sends requests without a proxy, because a test's server is on this machine, and trusts the server's own authority."""
    handlers = [urllib.request.ProxyHandler({})]
    if authority:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=authority)))
    return urllib.request.build_opener(*handlers)


def _send(opener, method, url, body=None, headers=None, timeout=60):
    data = None if body is None else json.dumps(body).encode()
    headers = {**({} if data is None else {"Content-Type": "application/json"}), **(headers or {})}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with opener.open(request, timeout=timeout) as response:
            return Response(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, error.headers, error.read())


class Server:
    """A separate server. It stops when this process ends, however it ends.

    With `tls` it serves TLS, and `authority` is the file that clients must trust: in SSL_CERT_FILE for the Graph SDK, in
    REQUESTS_CA_BUNDLE for the Azure SDKs.
    """

    def __init__(self, *flags, url=None, env=None, tls=False):
        self._process, self._folder, self.authority = None, None, None
        if tls and not url:
            self._folder = tempfile.TemporaryDirectory(prefix="contactd-cert-")
            self.authority = str(pathlib.Path(self._folder.name) / "dev-ca.pem")
            flags = (*flags, "--tls", "--dev-cert-dir", self._folder.name)
        self.url = url or self._start(flags, env)
        self.base_url = f"{self.url}/v1.0"
        self.opener = _opener(self.authority)

    def _start(self, flags, env):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTACTD_")}
        environment.update(env or {})
        self._process = subprocess.Popen(
            [find(), *_SERVE, *flags], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        output = []
        for line in self._process.stderr:
            output.append(line)
            ready = re.match(r"contactd listening on (\S+)", line)
            if ready:
                # The log of the server is read and passed on, so that the pipe never fills up.
                threading.Thread(target=self._pass_on, daemon=True).start()
                return ready.group(1)
        raise RuntimeError("contactd did not start: " + "".join(output))

    def _pass_on(self):
        for line in self._process.stderr:
            sys.stderr.write(line)

    def stop(self):
        """Stops the server, if this object started it."""
        if self._process and self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait(10)
        if self._folder:
            self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def control(self, method, path, body=None):
        """A call to the control plane. Returns its JSON, or None if there is none."""
        response = _send(self.opener, method, f"{self.url}/_contactd{path}", body)
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {response.body.decode(errors='replace')}")
        return response.json() if response.body else None

    def user(self, name):
        """A user, who need not exist before."""
        return User(self, name)

    def reset(self, **options):
        self.control("POST", "/reset", options)

    def seed(self, document):
        """Creates users with folders, contacts and categories, and returns their ids. The format is in docs/testing.md."""
        return self.control("POST", "/seed", document)["users"]

    def freeze(self, now, tick=None):
        """Stops the clock of the server."""
        return self.control("PUT", "/clock", {"mode": "frozen", "now": now, **({"tick": tick} if tick else {})})

    def advance(self, by):
        """Advances a stopped clock, and returns when everything that became due is done."""
        return self.control("POST", "/clock/advance", {"by": by})

    def settle(self):
        """Returns when every due notification was sent or has failed once."""
        self.control("POST", "/settle")

    def inbox(self, name, **options):
        """A receiver of notifications inside the server. `options` set its responses, in the format of docs/testing.md."""
        return Inbox(self, name, self.control("POST", f"/inboxes/{urllib.parse.quote(name)}", options)["notificationUrl"])


class Inbox:
    """A receiver of notifications. `url` is the notificationUrl for a subscription."""

    def __init__(self, server, name, url):
        self.server, self.name, self.url = server, name, url

    def posts(self):
        """The received notifications, after all due ones were sent."""
        self.server.settle()
        return self.server.control("GET", f"/inboxes/{urllib.parse.quote(self.name)}")["value"]

    def answers(self, **options):
        """Sets its responses from now on: answers=[{"status": 503}] rejects the next notification."""
        self.server.control("POST", f"/inboxes/{urllib.parse.quote(self.name)}", options)

    def clear(self):
        self.server.control("DELETE", f"/inboxes/{urllib.parse.quote(self.name)}")


class User:
    """A user of a server, with a separate mailbox."""

    def __init__(self, server, name):
        self.server, self.name, self.token = server, name, name
        self.url, self.base_url = server.url, server.base_url
        self.headers = {"Authorization": f"Bearer {name}"}

    def call(self, method, path, body=None, headers=None):
        """Sends a request as this user, to a path below the API version or to a link."""
        url = path if path.startswith("http") else self.base_url + path
        return _send(self.server.opener, method, url, body, {**self.headers, **(headers or {})})

    def graph(self):
        """A client of the official SDK, msgraph-sdk, which must be installed."""
        from kiota_abstractions.authentication import (
            AccessTokenProvider,
            AllowedHostsValidator,
            BaseBearerTokenAuthenticationProvider,
        )
        from msgraph import GraphRequestAdapter, GraphServiceClient

        token = self.token

        class Token(AccessTokenProvider):
            async def get_authorization_token(self, uri, additional_authentication_context=None):
                return token

            def get_allowed_hosts_validator(self):
                return AllowedHostsValidator([])

        adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Token()))
        adapter.base_url = self.base_url
        return GraphServiceClient(request_adapter=adapter)

    def fault(self, method=None, path=None, *, status=None, code=None, retry_after=None, headers=None, **more):
        """Adds a fault to this user's requests. `more` are members of a fault in docs/testing.md, such as times and when."""
        match = {"user": self.name, **more.pop("match", {})}
        match.update({key: value for key, value in (("method", method), ("path", path)) if value})
        answer = {"status": status, "code": code, "retryAfter": retry_after, "headers": headers}
        answer = {key: value for key, value in answer.items() if value is not None}
        return self.server.control("POST", "/faults", {"match": match, **({"answer": answer} if answer else {}), **more})

    def clear_faults(self):
        self.server.control("DELETE", "/faults?" + urllib.parse.urlencode({"user": self.name}))

    def requests(self, method=None, path=None, **filters):
        """This user's requests in the journal, the first 1,000 of them."""
        options = {"user": self.name, "method": method, "path": path, "top": 1000, **filters}
        options = {key: value for key, value in options.items() if value is not None}
        return self.server.control("GET", "/requests?" + urllib.parse.urlencode(options))["value"]

    def seed(self, count, **options):
        """Generates contacts in this user's mailbox: `seed`, `locale`, `photos`, `duplicates`. Returns their ids."""
        return self.server.control("POST", "/seed", {"user": self.name, "count": count, **options})["users"][0]["contacts"]

    def copy_of(self, template, replace=False):
        """Copies the contents of another mailbox into this user's mailbox."""
        return self.server.control("POST", f"/users/{urllib.parse.quote(self.name)}/copy", {"from": template, "replace": replace})

    def assert_golden(self, path):
        """Compares this user's requests with a file; UPDATE_GOLDEN=1 writes it."""
        entries = [{key: value for key, value in entry.items() if key != "durationMicros"} for entry in self.requests()]
        for number, entry in enumerate(entries, 1):
            entry["number"] = number
            for headers in ("headers", "answerHeaders"):
                entry[headers] = {name: value for name, value in entry[headers].items() if name not in _CLIENT_HEADERS}
        text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
        text = text.replace(self.url, "{base}").replace(self.url.split("://")[1], "{host}")
        path = pathlib.Path(path)
        if os.environ.get("UPDATE_GOLDEN") == "1":
            path.write_text(text, encoding="utf-8")
        elif not path.exists():
            raise AssertionError(f"{path} does not exist: run the test once with UPDATE_GOLDEN=1")
        else:
            assert text == path.read_text(encoding="utf-8"), f"the requests differ from {path}; UPDATE_GOLDEN=1 rewrites it"
