"""Shared by the scripts of the heavy clients: Graph requests, and running commands."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

origin, user, password = sys.argv[1:4]
folder = pathlib.Path(tempfile.mkdtemp())


def graph(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {password}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{origin}/{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def contacts():
    return graph("GET", "v1.0/me/contacts?$top=1000")["value"]


def environment():
    home = folder / "home"
    for path in (home, folder / "run"):
        path.mkdir(mode=0o700, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_") and name != "DBUS_SESSION_BUS_ADDRESS"}
    return {**kept, "HOME": str(home), "XDG_RUNTIME_DIR": str(folder / "run")}


def run(*command, answer=""):
    process = subprocess.run(command, input=answer, capture_output=True, text=True, env=environment(), timeout=120)
    assert process.returncode == 0, f"{command}: {process.stdout}{process.stderr}"
    return process.stdout


def card(uid, name, more=""):
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:{name};;;;\r\n{more}END:VCARD\r\n"
