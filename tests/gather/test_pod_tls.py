"""Servers in pods are met through port-forwards, with the proxies' pair; its key goes nowhere."""

from __future__ import annotations

import base64
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from egops.gatewayapi import POD
from egops.gather import Wanted, gather
from egops.gather.api import ahead
from egops.gather.bundle import pack, unpack
from egops.gather.pod_tls import MOST
from egops.handshakes import ACCEPTED, CLOSED, NOT_ASKED, NOT_TLS, REFUSED, TIMEOUT
from egops.snapshot import Probe, Proxy, Snapshot
from tests.gather.api_server import ApiServer, Request, api_server, named, serving
from tests.gather.pod_server import forward_to
from tests.gather.test_pods import ROOT, SYSTEM, gateway, proxy
from tests.gather.test_tls import asking, context, listening, speaking
from tests.support.certificates import Authority

CA = Authority("control plane")
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets/envoy"


def rate_limit(name: str) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/managed-by": "envoy-gateway",
        "app.kubernetes.io/component": "ratelimit",
    }
    status = {"phase": "Running"}
    return named(name, SYSTEM, metadata={"labels": labels}, status=status, spec={})


def pair(issuer: Authority = CA) -> Any:
    made = issuer.issue("*.envoy-gateway-system")
    data = {"tls.crt": made.pem, "tls.key": made.key_pem}
    body = {"data": {key: base64.b64encode(value).decode() for key, value in data.items()}}
    return lambda request: request.json(body)


def met(api: ApiServer, folder: Path, ports: dict[int, int], **options: Any) -> Snapshot:
    api.objects[POD] = [gateway("eg-1"), rate_limit("limit-1")]
    for pod in ("eg-1", "limit-1"):
        api.handlers.setdefault(f"{ROOT}/{pod}/portforward", forward_to(ports))
    wanted = Wanted(probes=frozenset({Probe.TLS, Probe.RATE_LIMIT_TLS}))
    return gather(api.source(folder, **options), wanted)


def test_ports_of_envoy_gateway_show_leaf_and_whether_the_proxies_pair_is_accepted(
    tmp_path: Path,
) -> None:
    leaf = CA.issue("envoy-gateway")
    strict = asking(context(tmp_path, leaf), tmp_path, CA)
    with (
        api_server() as api,
        listening(speaking(strict)) as xds,
        listening(speaking(context(tmp_path, leaf))) as limit,
    ):
        api.handlers[SECRET] = pair()
        snapshot = met(api, tmp_path, {18000: xds, 8081: limit})

    (control_plane,), (server,) = snapshot.control_planes, snapshot.rate_limit_servers
    assert [(one.port, one.outcome) for one in control_plane.handshakes] == [
        (18000, ACCEPTED), (18001, CLOSED), (18002, CLOSED), (9443, CLOSED),
    ]  # fmt: skip
    assert [(one.port, one.outcome) for one in server.handshakes] == [(8081, ACCEPTED)]
    assert b"PRIVATE KEY" not in b"".join(control_plane.documents.values())


def test_pair_of_another_ca_is_refused(tmp_path: Path) -> None:
    strict = asking(context(tmp_path, CA.issue("envoy-gateway")), tmp_path, CA)
    with api_server() as api, listening(speaking(strict)) as xds:
        api.handlers[SECRET] = pair(Authority("other"))
        snapshot = met(api, tmp_path, {18000: xds})

    found = snapshot.control_planes[0].handshakes[0]
    assert (found.outcome, found.has_shown_certificate) == (REFUSED, True)
    assert found.is_up


def test_without_the_secret_the_leaf_is_seen_all_the_same(tmp_path: Path) -> None:
    strict = asking(context(tmp_path, CA.issue("envoy-gateway")), tmp_path, CA)
    said = 'secrets "envoy" is forbidden: User "ci" cannot get resource "secrets"'
    with api_server() as api, listening(speaking(strict)) as xds:
        api.handlers[SECRET] = lambda request: request.status(403, said)
        snapshot = met(api, tmp_path, {18000: xds})

    found = snapshot.control_planes[0].handshakes[0]
    assert (found.is_up, found.has_shown_certificate) == (True, False)


def test_forbidden_port_forward_is_a_reason(tmp_path: Path) -> None:
    said = 'pods "a" is forbidden: User "ci" cannot create resource "pods/portforward" in API group'

    def refuse(request: Request) -> None:
        request.status(403, f'{said} "" in the namespace "{SYSTEM}"')

    with api_server() as api:
        api.handlers[f"{ROOT}/eg-1/portforward"] = refuse
        snapshot = met(api, tmp_path, {})

    reason = f'forbidden: create pods/portforward in namespace {SYSTEM} for user "ci"'
    assert snapshot.control_planes[0].failures == {Probe.TLS: reason}
    assert snapshot.rate_limit_servers[0].handshakes[0].outcome == CLOSED


def test_stopped_process_is_waited_for_once(tmp_path: Path) -> None:
    release = threading.Event()
    began = time.monotonic()
    with api_server() as api, listening(lambda _: release.wait(10)) as port:
        everywhere = dict.fromkeys((18000, 18001, 18002, 9443, 8081), port)
        snapshot = met(api, tmp_path, everywhere, request_timeout=0.7)
        release.set()

    assert [one.outcome for one in snapshot.control_planes[0].handshakes] == [
        TIMEOUT, NOT_ASKED, NOT_ASKED, NOT_ASKED,
    ]  # fmt: skip
    assert time.monotonic() - began < 5


def test_handshakes_are_kept_in_a_bundle(tmp_path: Path) -> None:
    with (
        api_server() as api,
        listening(lambda client: client.sendall(b"HTTP/1.1 400 no\r\n\r\n")) as port,
    ):
        snapshot = met(api, tmp_path, {8081: port})
    pack(snapshot, tmp_path / "bundle.zip")

    again = unpack(str(tmp_path / "bundle.zip"))

    assert [one.outcome for one in again.rate_limit_servers[0].handshakes] == [NOT_TLS]
    assert again.control_planes[0].handshakes == snapshot.control_planes[0].handshakes


@pytest.mark.parametrize("shift", [-7200, -61, 0, 61, 7200])
def test_clock_is_compared_with_that_of_the_server(shift: float) -> None:
    now = time.time()

    found = ahead(formatdate(now - shift, usegmt=True), now, now)

    assert abs(found - shift) < 2


def test_clock_without_a_date_is_right() -> None:
    assert ahead("yesterday", 0, 0) == 0


def listener(port: int, *names: str) -> dict[str, Any]:
    """Return a config dump with one listener that ends TLS for these names."""
    extension = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
    tls = {
        "@type": f"{extension}.DownstreamTlsContext",
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "shop/tls"}]},
    }
    chain = {
        "filter_chain_match": {"server_names": list(names)},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
    }
    socket_address = {"address": "0.0.0.0", "port_value": port}
    body = {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "shop/eg/https",
        "address": {"socket_address": socket_address},
        "filter_chains": [chain],
    }
    section = {
        "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
        "dynamic_listeners": [{"name": "shop/eg/https", "active_state": {"listener": body}}],
    }
    return {"configs": [section]}


def met_proxy(
    api: ApiServer, folder: Path, dump: dict[str, Any], ports: dict[int, int], **options: Any
) -> Proxy:
    with serving(lambda request: request.json(dump)) as url:
        api.objects[POD] = [proxy("envoy-1")]
        forward = forward_to({19000: urlsplit(url).port or 0, **ports})
        api.handlers[f"{ROOT}/envoy-1/portforward"] = forward
        wanted = Wanted(probes=frozenset({Probe.LISTENER_TLS}))
        (found,) = gather(api.source(folder, **options), wanted).proxies
    return found


def test_listeners_of_a_proxy_are_asked_for_each_name_they_serve(tmp_path: Path) -> None:
    dump = listener(10443, "www.shop.test", "*.shop.test")
    with (
        api_server() as api,
        listening(speaking(context(tmp_path, CA.issue("*.shop.test")))) as port,
    ):
        found = met_proxy(api, tmp_path, dump, {10443: port})

    assert [(one.port, one.server_name, one.outcome) for one in found.handshakes] == [
        (10443, "www.shop.test", ACCEPTED), (10443, "egops-check.shop.test", ACCEPTED),
    ]  # fmt: skip
    assert all(one.is_up for one in found.handshakes)


def test_too_many_names_are_not_all_asked_and_that_is_said(tmp_path: Path) -> None:
    dump = listener(10443, *(f"{number}.shop.test" for number in range(MOST + 3)))
    with api_server() as api:
        found = met_proxy(api, tmp_path, dump, {})

    assert len(found.handshakes) == MOST + 1
    assert found.handshakes[0].outcome == CLOSED
    assert found.handshakes[-1].reason == "3 more names were not asked for"


def test_exec_can_not_shake_hands(tmp_path: Path) -> None:
    with api_server() as api:
        found = met_proxy(api, tmp_path, listener(10443), {}, via="exec")

    assert "need --via port-forward" in found.failures[Probe.LISTENER_TLS]
