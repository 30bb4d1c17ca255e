"""Plays AWS or Kubernetes for the actuators' tests, on a free loopback port.

    /usr/bin/python3 autoscale_server.py aws|kubernetes [CERT.pem KEY.pem]

The first line on stdout is the port. After that every line on stdin is one JSON command and
gets one line back: {"set": {...}} merges into the state (a null removes), {"fault": {...}}
adds a fault, {"tick": 1} lets time pass in the provider, {"log": 1} answers with the requests
since the last {"log": 1}, joined by ";". End of stdin ends the server.

A fault answers instead of the provider, `times` times (1): {"match": the request's name,
"status", "code", "message", "headers", "body": as it is, "perform": true (carries the request
out first), "drop": true (closes without an answer), "stall": true (never answers)}.
"""
import json
import ssl
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def merge(into, new):
    for key, value in new.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


class Provider:
    """State, faults and log; what is asked comes in answer(), one request at a time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.state, self.faults, self.log = {}, [], []

    def fault_of(self, name):
        for fault in self.faults:
            if fault["match"] in (name, "*"):
                fault["times"] = fault.get("times", 1) - 1
                if fault["times"] <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def command(self, line):
        order = json.loads(line)
        with self.lock:
            if "set" in order:
                merge(self.state, order["set"])
            if "fault" in order:
                self.faults.append(order["fault"])
            if "tick" in order:
                self.tick()
            if "log" in order:
                text = ";".join(self.log)
                self.log.clear()
                return text
        return "ok"

    # Of a subclass: name(request) for faults and log; answer(request) -> status, headers,
    # body; refusal(fault) -> the same in the provider's own form.
    def tick(self):
        pass


class Request:
    def __init__(self, method, path, headers, body, port):
        self.method, self.path, self.headers = method, path, headers
        self.body, self.port = body, port


def handler_of(provider):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self):
            length = int(self.headers.get("Content-Length", 0))
            request = Request(self.command, self.path, self.headers, self.rfile.read(length),
                              self.server.server_address[1])
            fault = None
            with provider.lock:
                try:
                    name = provider.name(request)
                    fault = provider.fault_of(name)
                    if fault is None:
                        status, headers, body = provider.answer(request)
                    else:
                        if fault.get("perform"):
                            provider.answer(request)
                        status, headers, body = provider.refusal(fault)
                        if "body" in fault:
                            body = fault["body"]
                        headers.update(fault.get("headers", {}))
                except Exception as e:  # the fixture's own fault: loud, and never retried
                    traceback.print_exc()
                    status, headers, body = 418, {}, "fixture: %r" % e
                    name = "fixture"
                said = "%s %s" % (provider.describe(request), status)
                provider.log.append(said.replace("\n", " "))
            if fault is not None and fault.get("stall"):
                self.connection.recv(1)  # until the client hangs up
                self.close_connection = True
                return
            if fault is not None and fault.get("drop"):
                self.close_connection = True
                return
            raw = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def log_message(self, *args):
            pass

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            traceback.print_exc()


def main():
    if sys.argv[1] == "aws":
        from autoscale_server_aws import Aws as kind
    else:
        from autoscale_server_kube import Kubernetes as kind
    provider = kind()
    server = Server(("127.0.0.1", 0), handler_of(provider))
    if len(sys.argv) == 4:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        # The handshake in the request's own thread: one that fails holds up nobody.
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    for line in sys.stdin:
        try:
            print(provider.command(line), flush=True)
        except Exception as e:
            print("error: %r" % e, flush=True)


if __name__ == "__main__":
    main()
