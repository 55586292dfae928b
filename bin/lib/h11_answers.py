"""Says what h11 makes of requests, for the test that compares it with our own parser.

Standard input: one request a line, in hex. Standard output, one line each:
  refused                                   h11 raises an error
  more                                      h11 waits for further bytes
  <method> <target> <version> <fields> <body> <rest>   all in hex; fields are name:value joined with commas; "-" is empty
"""

import sys

import h11


def answer(data: bytes) -> str:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)
    connection.receive_data(data)
    request, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return "more"
    except h11.RemoteProtocolError:
        return "refused"
    fields = ",".join(f"{name.hex()}:{value.hex()}" for name, value in request.headers)
    rest = bytes(connection.trailing_data[0])
    parts = [request.method.hex(), request.target.hex(), request.http_version.hex(), fields, body.hex(), rest.hex()]
    return " ".join(part or "-" for part in parts)


# All is read before anything is written, so that two full pipes cannot wait for each other.
lines = sys.stdin.read().split()
sys.stdout.write("\n".join(answer(bytes.fromhex(line)) for line in lines) + "\n")
