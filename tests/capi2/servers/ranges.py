"""Serves a file over HTTP, whole or in ranges, and says at which port: ranges.py FILE"""

import http.server
import sys


class Ranges(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    content = open(sys.argv[1], "rb").read()

    def do_HEAD(self):
        first, last = 0, len(self.content) - 1
        asked = self.headers.get("Range")
        if asked:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
        part = self.content[first : last + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", len(part))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(self.content)}")
        self.end_headers()
        return part

    def do_GET(self):
        self.wfile.write(self.do_HEAD())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
print(server.server_port, flush=True)
server.serve_forever()
