"""What Envoy and Envoy Gateway say of a refusal, in all their words."""

from __future__ import annotations

import pytest

from egops.refusals import CLUSTER, LISTENER, ROUTES, SECRET, log_refusals, nacks

STAMP = "[2026-11-24 13:24:24.798][1][warning][config] [source/x.cc:81] "
TYPE = "type.googleapis.com/envoy."


@pytest.mark.parametrize(
    ("line", "kind", "name", "reason"),
    [
        (
            f"gRPC config for {TYPE}config.listener.v3.Listener rejected: Error adding/updating "
            "listener(s) demo/eg/https: Failed to load certificate chain",
            LISTENER,
            "demo/eg/https",
            "Failed to load certificate chain",
        ),
        (
            f"delta config for {TYPE}config.cluster.v3.Cluster rejected: Error adding/updating "
            "cluster(s) httproute/demo/x/rule/0: bad: worse",
            CLUSTER,
            "httproute/demo/x/rule/0",
            "bad: worse",
        ),
        (
            f"delta config for {TYPE}config.route.v3.RouteConfiguration rejected: no perl: (?=",
            ROUTES,
            "",
            "no perl: (?=",
        ),
        (
            f"gRPC state-of-the-world config for {TYPE}extensions.transport_sockets.tls.v3.Secret "
            "rejected: KEY_VALUES_MISMATCH",
            SECRET,
            "",
            "KEY_VALUES_MISMATCH",
        ),
        ("Filesystem config update rejected: invalid", "", "", "invalid"),
    ],
)
def test_every_form_of_the_log_is_read(line: str, kind: str, name: str, reason: str) -> None:
    (found,) = log_refusals(STAMP + line)

    assert (found.kind, found.name, found.reason) == (kind, name, reason)
    assert found.at is not None


@pytest.mark.parametrize("line", ["", "rejected: ", '{"user-agent":"config for x rejected: y"}'])
def test_other_lines_are_no_refusals(line: str) -> None:
    assert log_refusals(line) == []


@pytest.mark.parametrize(
    ("line", "kind", "node", "reason"),
    [
        (
            f"Envoy rejected the last update for type {TYPE}config.listener.v3.Listener on node "
            "envoy-1 with code 13 and message bad cipher; the proxy is still serving its last "
            "known good config and a restarting proxy will fail to load this config",
            LISTENER,
            "envoy-1",
            "bad cipher",
        ),
        ("Envoy rejected the last update with code 13: bad cipher", "", "", "bad cipher"),
    ],
)
def test_envoy_gateways_own_words_are_read(line: str, kind: str, node: str, reason: str) -> None:
    (found,) = nacks(f"2026-11-24T11:59:50.000Z\terror\txds\tx.go:1\t{line}")

    assert (found.kind, found.node, found.reason) == (kind, node, reason)
    assert found.at is not None
