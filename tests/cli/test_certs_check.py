"""`egops certs check`: the inventory, thresholds, another date, and servers by address."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from egops.cli import root
from tests.gather.test_tls import NAME, context, listening, speaking
from tests.support.certificates import NOW, Authority, Issued

CA = Authority("envoy-gateway")
SYSTEM = "envoy-gateway-system"
NAMES = ("envoy-gateway", f"envoy-gateway.{SYSTEM}", f"envoy-gateway.{SYSTEM}.svc")
AT = ("--at", NOW.isoformat())
SCHEMA = json.loads(Path("egops/schema/report.schema.json").read_text("utf-8"))


def check(*words: str) -> Result:
    return CliRunner().invoke(root, ["certs", "check", *words])


def codes(done: Result) -> list[tuple[str, str]]:
    return [(one["code"], one["severity"]) for one in json.loads(done.stdout)["findings"]]


def secret(name: str, issued: Issued, namespace: str = SYSTEM, **metadata: Any) -> dict[str, Any]:
    values = {"tls.crt": issued.pem, "tls.key": issued.key_pem, "ca.crt": CA.pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }


def installed(left: timedelta, **metadata: Any) -> list[dict[str, Any]]:
    """Return the control plane's Secrets; the proxies' certificate has so long to go."""
    metadata.setdefault("labels", {"control-plane": "envoy-gateway"})
    return [
        secret("envoy-gateway", CA.issue(*NAMES), **metadata),
        secret("envoy", CA.issue(f"*.{SYSTEM}", left=left), **metadata),
        secret("envoy-rate-limit", CA.issue(f"*.{SYSTEM}"), **metadata),
    ]


@pytest.fixture
def manifests(tmp_path: Path) -> Any:
    def write(*documents: dict[str, Any]) -> str:
        path = tmp_path / "manifests.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return str(path)

    return write


# ------------------------------------------------------------------ the inventory


def test_table_tells_where_for_whom_how_long_and_who_renews(manifests: Any) -> None:
    done = check("-f", manifests(*installed(timedelta(days=40))), *AT)

    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if f"{SYSTEM}/envoy ·" in line)
    assert lines[at].endswith(
        "proxies: xDS, rate limit and Wasm clients · renewed by nobody: certgen made it"
    )
    assert lines[at + 1].split() == ["tls.crt", "client", "█░░░░░░░", "40", "d", "CN=leaf",
                                     f"*.{SYSTEM}"]  # fmt: skip


def test_no_output_holds_a_key(manifests: Any) -> None:
    documents = installed(timedelta(days=40))
    path = manifests(*documents)

    for output in ("text", "json", "yaml", "name", "prometheus"):
        done = check("-f", path, "-v", "-o", output, *AT)
        assert done.exit_code in (0, 1), done.output
        assert "PRIVATE" not in done.output
        for document in documents:
            assert document["data"]["tls.key"][100:160] not in done.output


def test_json_is_a_report_with_the_certificates_beside_it(manifests: Any) -> None:
    done = check("-f", manifests(*installed(timedelta(days=3))), "-o", "json", *AT)

    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    (row,) = (
        one
        for one in document["certificates"]
        if (one["object"]["name"], one["key"]) == ("envoy", "tls.crt")
    )
    assert row["daysLeft"] == 3
    assert row["names"] == [f"*.{SYSTEM}"]
    assert row["role"] == "client"
    assert row["renewedBy"] == "nobody: certgen made it"
    assert len(row["fingerprint"]) == 64
    assert done.exit_code == 1


def test_cert_manager_and_others_are_named_as_renewers(manifests: Any) -> None:
    documents = installed(timedelta(days=400))
    documents[0]["metadata"]["annotations"] = {"cert-manager.io/certificate-name": "xds"}
    documents[1]["metadata"]["ownerReferences"] = [{"kind": "SealedSecret", "name": "envoy"}]
    documents[2]["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "gateway"}

    done = check("-f", manifests(*documents), "-o", "json", *AT)

    assert {one["renewedBy"] for one in json.loads(done.stdout)["certificates"]} == {
        f"cert-manager Certificate {SYSTEM}/xds", f"SealedSecret {SYSTEM}/envoy", "Flux gateway",
    }  # fmt: skip
    assert ("EGD-430", "info") in codes(done)


def test_namespace_limits_inventory_and_findings(manifests: Any) -> None:
    path = manifests(*installed(timedelta(days=3)))

    inside = check("-f", path, "-o", "json", "-n", SYSTEM, *AT)
    outside = check("-f", path, "-o", "json", "-n", "shop", *AT)

    assert len(json.loads(inside.stdout)["certificates"]) == 6
    assert json.loads(outside.stdout)["certificates"] == []
    assert (codes(inside), codes(outside)) == ([("EGD-407", "error")], [])


def test_envoy_alone_shows_what_it_holds() -> None:
    done = check("--config-dump", "tests/fixtures/envoy/healthy/config_dump.json", *AT)

    assert "secret demo/demo-tls" in done.stdout
    assert "CN=www.demo.test" in done.stdout


def test_metrics_are_what_the_board_asks_and_promtool_accepts(manifests: Any) -> None:
    done = check("-f", manifests(*installed(timedelta(days=40))), "-o", "prometheus", *AT)

    labels = f'kind="Secret",namespace="{SYSTEM}",secret="envoy",key="tls.crt"'
    end = int((NOW + timedelta(days=40)).timestamp())
    (line,) = (
        line
        for line in done.stdout.splitlines()
        if line.startswith(f"egops_certificate_expiry_seconds{{{labels}")
    )
    assert line.endswith(f" {end}")
    board = Path("tools/boards/certs.py").read_text("utf-8")
    assert "min by (namespace, secret, subject) (egops_certificate_expiry_seconds" in board
    if shutil.which("promtool") is None:
        if os.environ.get("EGOPS_REQUIRE_ALL") == "1":
            pytest.fail("promtool is not installed")
        pytest.skip("promtool is not installed")
    judged = subprocess.run(
        ["promtool", "check", "metrics"], input=done.stdout, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (judged.returncode, judged.stderr, judged.stdout) == (0, "", "")


# ------------------------------------------------------------------ thresholds and dates


@pytest.mark.parametrize(
    ("days", "words", "severity"),
    [
        (40, (), "info"),
        (20, (), "warning"),
        (5, (), "error"),
        (-1, (), "error"),
        (40, ("--warn", "60d"), "warning"),
        (40, ("--warn", "60d", "--critical", "6w"), "error"),
        (5, ("--critical", "36h"), "warning"),
        (5, ("--critical", "0d", "--warn", "0%"), "info"),
        (1800, ("--warn", "33.5%"), "warning"),
        (1800, ("--critical", "40%"), "error"),
        (-1, ("--critical", "0d", "--warn", "0d"), "error"),
    ],
)
def test_thresholds_are_honoured(
    manifests: Any, days: int, words: tuple[str, ...], severity: str
) -> None:
    path = manifests(*installed(timedelta(days=days)))

    done = check("-f", path, "-o", "json", "--only", "EGD-407", *words, *AT)

    assert codes(done) == [("EGD-407", severity)]
    assert done.exit_code == (1 if severity == "error" else 0)


def test_what_renews_itself_alarms_later_unless_the_user_says_otherwise(manifests: Any) -> None:
    mark: dict[str, Any] = {"annotations": {"cert-manager.io/certificate-name": "x"}}
    documents = installed(timedelta(days=400), **mark)
    leaf = CA.issue(f"*.{SYSTEM}", left=timedelta(days=25), begins=NOW - timedelta(days=65))
    documents[1] = secret("envoy", leaf, **mark)
    path = manifests(*documents)

    default = check("-f", path, "-o", "json", "--only", "EGD-407", *AT)
    chosen = check("-f", path, "-o", "json", "--only", "EGD-407", "--warn", "26d", *AT)

    assert codes(default) == []  # cert-manager renews at two thirds: a quarter left is late
    assert codes(chosen) == [("EGD-407", "warning")]


def test_another_date_tells_what_will_have_ended(manifests: Any) -> None:
    path = manifests(*installed(timedelta(days=40)))
    later = (NOW + timedelta(days=41)).date().isoformat()

    now, then = (
        check("-f", path, "-o", "json", "--only", "EGD-407", "--at", at)
        for at in (NOW.isoformat(), later)
    )

    assert codes(now) == [("EGD-407", "info")]
    assert codes(then) == [("EGD-407", "error")]
    assert "ended" in json.loads(then.stdout)["findings"][0]["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--warn", "soon"), "is no time such as 30d"),
        (("--warn", "101%"), "is no time such as 30d"),
        (("--critical", "-3d"), "is no time such as 30d"),
        (("--at", "tomorrow"), "is no date such as 2027-03-01"),
        (("--sni", "x"), "--sni and --ca are for servers"),
        (("a b:443",), "is no TLS address"),
        (("host:99999",), "is no address"),
        (("http://host",), "is no TLS address"),
        (("user:word@host:443",), "is no TLS address"),
    ],
)
def test_bad_input_exits_with_2(words: tuple[str, ...], said: str) -> None:
    done = check(*words, "--request-timeout", "1s")

    assert done.exit_code == 2
    assert said in done.stderr
    assert "word" not in done.stderr


# ------------------------------------------------------------------ servers


def served(
    tmp_path: Path, issued: Issued, *words: str, more: bytes = b"", trusted: Authority = CA
) -> Result:
    (tmp_path / "ca.pem").write_bytes(trusted.pem)
    with listening(speaking(context(tmp_path, issued, more))) as port:
        return check(
            f"127.0.0.1:{port}", "--sni", NAME, "--ca", str(tmp_path / "ca.pem"), "-o", "json",
            *AT, *words,
        )  # fmt: skip


def test_good_server_is_all_right(tmp_path: Path) -> None:
    done = served(tmp_path, CA.issue(NAME))

    assert (done.exit_code, codes(done)) == (0, [])
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["source"]["type"] == "server"
    assert document["certificates"][0]["names"] == [NAME]


@pytest.mark.parametrize(
    ("left", "begins", "code", "severity"),
    [
        (timedelta(days=-2), timedelta(days=-90), "EGD-438", "error"),
        (timedelta(days=5), timedelta(days=-90), "EGD-438", "error"),
        (timedelta(days=20), timedelta(days=-90), "EGD-438", "warning"),
        (timedelta(days=90), timedelta(days=2), "EGD-438", "error"),
    ],
    ids=["ended", "critical", "soon", "not yet"],
)
def test_lifetime_of_a_server_is_judged(
    tmp_path: Path, left: timedelta, begins: timedelta, code: str, severity: str
) -> None:
    done = served(tmp_path, CA.issue(NAME, left=left, begins=NOW + begins))

    assert codes(done) == [(code, severity)]


def test_wrong_name_and_strange_issuer_are_told(tmp_path: Path) -> None:
    done = served(tmp_path, CA.issue("other.test"), trusted=Authority("somebody"))

    assert sorted(code for code, _ in codes(done)) == ["EGD-436", "EGD-437"]


def test_missing_intermediate_is_told_and_a_complete_chain_is_not(tmp_path: Path) -> None:
    middle = Authority("middle", CA)

    alone = served(tmp_path, middle.issue(NAME))
    whole = served(tmp_path, middle.issue(NAME), more=middle.pem)

    assert [code for code, _ in codes(alone)] == ["EGD-436"]
    assert codes(whole) == []


def test_closed_port_and_plain_http_are_findings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    closed = check(f"127.0.0.1:{port}", "-o", "json")
    with listening(lambda client: client.sendall(b"HTTP/1.1 400 no\r\n\r\n")) as port:
        plain = check(f"127.0.0.1:{port}", "-o", "json")

    assert codes(closed) == codes(plain) == [("EGD-435", "error")]
    assert (closed.exit_code, plain.exit_code) == (1, 1)


def test_hanging_server_ends_with_the_request_and_all_with_the_timeout() -> None:
    def hang(client: socket.socket) -> None:
        client.recv(1 << 16)
        time.sleep(3)

    began = time.monotonic()
    with listening(hang) as port:
        slow = check(f"127.0.0.1:{port}", "-o", "json", "--request-timeout", "500ms")
        late = check(f"127.0.0.1:{port}", "-o", "json", "--timeout", "500ms")

    assert codes(slow) == [("EGD-435", "error")]
    assert late.exit_code == 124
    assert time.monotonic() - began < 12


# ------------------------------------------------------------------ identity providers


def test_identity_providers_are_asked_only_if_told_to(tmp_path: Path, manifests: Any) -> None:
    with listening(speaking(context(tmp_path, CA.issue("localhost")))) as port:
        policy = {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "SecurityPolicy",
            "metadata": {"name": "login", "namespace": "shop"},
            "spec": {
                "oidc": {"provider": {"issuer": f"https://localhost:{port}/realm"}},
                "jwt": {"providers": [
                    {"name": "a", "remoteJWKS": {"uri": f"https://localhost:{port}/keys"}},
                    {"name": "b", "localJWKS": {}},
                ]},
            },
        }  # fmt: skip
        path = manifests(policy, *installed(timedelta(days=400)))
        without = check("-f", path, "-o", "json", *AT)
        asked = check("-f", path, "-o", "json", "--external", *AT)

    servers = [
        row for row in json.loads(asked.stdout)["certificates"] if row["object"]["kind"] == "Server"
    ]
    assert [row["usedBy"] for row in servers] == [["SecurityPolicy shop/login"]]
    assert [code for code, _ in codes(asked)] == ["EGD-436"]
    assert codes(without) == []
