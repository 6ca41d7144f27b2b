"""HTTP/2 requests as they are: nothing is normalised or refused on this side."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from egops.xds.match_request import encode
from tests.envoy.traffic import Answer

if TYPE_CHECKING:
    from tests.envoy.traffic import Sent

LOOSE = h2.config.H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
)


def ask(port: int, sent: Sent) -> Answer:
    """Send a request on a connection of its own; status 0 if the stream or connection is reset."""
    pseudo = [(b":method", encode(sent.method)), (b":scheme", b"http")]
    if sent.authority is not None:
        pseudo.append((b":authority", encode(sent.authority)))
    if sent.method != "CONNECT":
        pseudo.append((b":path", encode(sent.target)))
    else:
        pseudo.remove((b":scheme", b"http"))
    fields = [(encode(name).lower(), encode(value)) for name, value in sent.headers]
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.4) as sock:
            return _exchange(sock, [*pseudo, *fields])
    except (OSError, h2.exceptions.ProtocolError):
        return Answer(0, {})


def _exchange(sock: socket.socket, fields: list[tuple[bytes, bytes]]) -> Answer:
    connection = h2.connection.H2Connection(LOOSE)
    connection.initiate_connection()
    connection.send_headers(1, fields, end_stream=True)
    sock.sendall(connection.data_to_send())
    while data := sock.recv(65536):
        for event in connection.receive_data(data):  # GOAWAY may come before the answer
            if isinstance(event, h2.events.ResponseReceived):
                found = {k.decode(): v.decode("utf-8", "surrogateescape") for k, v in event.headers}
                return Answer(int(found.pop(":status")), found)
            if isinstance(event, h2.events.StreamReset):
                return Answer(0, {})
        sock.sendall(connection.data_to_send())
    return Answer(0, {})
