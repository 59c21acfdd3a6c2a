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
turn = threading.Lock()
# Headers of the connection, which do not depend on the client.
LEFT_OUT = {"host", "connection", "keep-alive", "content-length", "accept-encoding", "transfer-encoding", "date", "te", "upgrade",
            "request-id", "client-request-id"}


def of_interest(headers):
    return {name.lower(): value for name, value in headers if name.lower() not in LEFT_OUT}


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def pass_on(self):
        sent, headers = self.body(), of_interest(self.headers.items())
        with turn:
            connection = http.client.HTTPConnection(server.hostname, server.port, timeout=60)
            connection.request(self.command, self.path, sent or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            answered = of_interest(answer.getheaders())
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
    setattr(Recorder, f"do_{method}", Recorder.pass_on)
recorder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=recorder.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{recorder.server_port}"
done = subprocess.run([address if part == "URL" else part for part in command])
with open(file, "w") as out:
    out.write("[\n" + ",\n".join(json.dumps(step, ensure_ascii=False) for step in steps) + "\n]\n")
sys.exit(done.returncode)
