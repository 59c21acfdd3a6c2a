"""Records the requests of a client and the responses of the server, for tests/api/both/dav/replayed.rs.

    contactd exec -- sh -c 'python3 tests/carddav/record.py "$CONTACTD_URL" tests/carddav/recorded/NAME.json COMMAND...'

An argument URL of COMMAND is replaced by the address of the recorder. The recorder forwards every request unchanged, one at a time."""

import http.client
import http.server
import json
import subprocess
import sys
import threading
from urllib.parse import urlsplit

origin, file, *command = sys.argv[1:]
server = urlsplit(origin)
steps = []
one_at_a_time = threading.Lock()
# Headers of the connection, which do not depend on the client.
LEFT_OUT = {"host", "connection", "keep-alive", "content-length", "accept-encoding", "transfer-encoding", "date", "te", "upgrade",
            "request-id", "client-request-id"}


def client_headers(headers):
    return {name.lower(): value for name, value in headers if name.lower() not in LEFT_OUT}


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def forward(self):
        sent, headers = self.body(), client_headers(self.headers.items())
        with one_at_a_time:
            connection = http.client.HTTPConnection(server.hostname, server.port, timeout=60)
            connection.request(self.command, self.path, sent or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            answered = client_headers(answer.getheaders())
            steps.append({
                "method": self.command, "path": self.path, "headers": headers, "body": sent.decode(),
                "status": answer.status, "etag": answered.get("etag"), "location": answered.get("location"), "answer": body.decode(),
            })
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in LEFT_OUT:
                self.send_header(name, value)
        if answer.status != 204 and answer.status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


for method in ("GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS", "PROPFIND", "PROPPATCH", "REPORT", "MKCOL", "COPY", "MOVE"):
    setattr(Recorder, f"do_{method}", Recorder.forward)
recorder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=recorder.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{recorder.server_port}"
process = subprocess.run([address if part == "URL" else part for part in command])
with open(file, "w") as recording:
    recording.write("[\n" + ",\n".join(json.dumps(step, ensure_ascii=False) for step in steps) + "\n]\n")
sys.exit(process.returncode)
