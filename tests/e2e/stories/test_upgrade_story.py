"""An upgrade that is predicted, made and verified: the prediction comes true, object by object.

Two Gateways have the same objects, which hit eight rules of 1.2.8 -> 1.3.0. One is upgraded as it
is; the other's objects are repaired first, as `upgrade-check` proposes, and lose nothing.
"""

import json
import string
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import gateway, kube
from tests.e2e.cluster.settings import EG_NAMESPACE, HERE, NODE_IP, PROXY_LABELS
from tests.e2e.cluster.shell import sh, wait_for
from tests.e2e.harness import demo, faults
from tests.e2e.harness.command import Run, doctor, egops, place
from tests.e2e.harness.installation import VALUES
from tests.e2e.harness.story import Story

MANIFEST = HERE / "manifests" / "upgrade-story.yaml"
ROUTES = ("plain", "canary", "mirror", "compressed", "secure", "tokens")
# what becomes of each object, in the words of the rules
EXPECTED = {
    "EGU-1302": "ClientTrafficPolicy/demo/careless-tls",
    "EGU-1303": "Gateway/demo/careless",
    "EGU-1307": "BackendTLSPolicy/demo/careless-secure",
    "EGU-1310": "ClientTrafficPolicy/demo/careless-hops",
    "EGU-1311": "HTTPRoute/demo/careless-canary",
    "EGU-1312": "HTTPRoute/demo/careless-mirror",
    "EGU-1317": "BackendTrafficPolicy/demo/careless-compressed",
    "EGU-1319": "SecurityPolicy/demo/careless-tokens",
}
# what a client sees if nothing is done; the other routes stay as they are
FAILING = {"canary": 500, "mirror": 404, "secure": 500, "tokens": 500}
GATEWAYS = ("careless", "careful")
Answers = dict[str, dict[str, dict[int, int]]]


@dataclass
class Upgraded:
    """One upgrade, as it was seen from outside."""

    healthy: Run  # doctor, before anything was broken
    check: Run
    saved: Path
    predicted: Path
    statuses: list[int]  # of the steady requests
    took: dict[str, float]
    before: Answers
    after: Answers


@pytest.fixture(scope="module")
def upgraded(fresh_for_all: None, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    """Envoy Gateway 1.3.0, upgraded from 1.2.8 under load with the objects of both Gateways."""
    folder = tmp_path_factory.mktemp("upgrade")
    gateway.install("1.2.8", values=VALUES)
    faults.wait_until_connected()
    healthy = doctor()
    kube.apply_text(written("careless", folder).read_text("utf-8"))
    repair(written("careful", folder), folder / "fixes")
    wait_until_served()
    before = {who: answers(who) for who in GATEWAYS}
    saved, predicted = folder / "before.zip", folder / "predicted.json"
    recorded = egops("bundle", str(saved), "--window", "0")
    assert not recorded.exit_code, recorded.told()
    check = egops("upgrade-check", "-f", str(saved), "--to", "1.3.0")
    predicted.write_text(json.dumps(check.report), "utf-8")
    with steady_requests() as statuses:
        took = gateway.install("1.3.0", upgrade=True, values=VALUES)
    fleets_are_rolled_out()
    wait_until_served()
    after = {who: answers(who) for who in GATEWAYS}
    return Upgraded(healthy, check, saved, predicted, statuses, took, before, after)


def test_an_upgrade_goes_as_predicted(upgraded: Upgraded, story: Story) -> None:
    story.record.version = "1.2.8 → 1.3.0"
    check = upgraded.check
    assert EXPECTED.items() <= {(f["code"], place(f)) for f in check.findings}, check.told()

    run = verify(upgraded)

    story.note(f"upgraded in {upgraded.took['answer']:.0f} s; verified in {run.seconds:.1f} s")
    came_true(run, story)
    assert run.exit_code == 1
    before, after = upgraded.before["careless"], upgraded.after["careless"]
    story.note(f"careless: {before} -> {after}")
    failing = {route: code for route, code in FAILING.items() if code in after[route]}
    assert failing == FAILING
    lost = {place(f).rpartition("/")[2] for f in run.findings if f["code"] == "EGU-0004"}
    assert {f"careless-{route}" for route in FAILING} <= lost
    unexplained = [f for f in run.findings if f["code"] == "EGU-0001"]
    assert not [f for f in unexplained if f["severity"] != "info"], run.told()


def test_objects_that_were_repaired_before_an_upgrade_lose_nothing(
    upgraded: Upgraded, story: Story
) -> None:
    story.record.version = "1.2.8 → 1.3.0"
    assert not told_of("careful", upgraded.check.findings), upgraded.check.told()

    run = verify(upgraded)

    assert not told_of("careful", run.findings), run.told()
    story.note(f"careful: {upgraded.before['careful']} -> {upgraded.after['careful']}")
    assert upgraded.after["careful"] == upgraded.before["careful"]


def test_upgrade_keeps_serving_and_ends_healthy(upgraded: Upgraded, story: Story) -> None:
    story.record.version = "1.2.8 → 1.3.0"
    assert not upgraded.healthy.loud(), upgraded.healthy.told()
    statuses = upgraded.statuses
    story.note(f"{len(statuses)} requests, {statuses.count(200)} of them 200; {upgraded.took}")
    assert set(statuses) == {200}, sorted(set(statuses))

    remove_gateways()
    run = wait_for("a doctor without complaint", quiet_doctor, 90)
    assert run

    assert run.report["source"]["egVersion"].lstrip("v") == "1.3.0"


def quiet_doctor() -> Run | None:
    """Return what doctor says if it has nothing to say."""
    run = doctor()
    return None if run.loud() else run


@contextmanager
def steady_requests() -> Iterator[list[int]]:
    """Send ten requests a second and give the statuses, one list for the whole block."""
    statuses: list[int] = []
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.1):
            statuses.append(gateway.ask("www.demo.test"))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield statuses
    finally:
        done.set()
        thread.join()


def remove_gateways() -> None:
    """Delete what the story made, and wait until its proxies are gone."""
    kinds = (
        "httproutes,backendtlspolicies,clienttrafficpolicies,backendtrafficpolicies,"
        "securitypolicies,services"
    )
    for each in kube.items(kinds, "-n", demo.NAMESPACE):
        name = str(each["metadata"]["name"])
        if name.startswith(GATEWAYS):
            kube.kubectl("-n", demo.NAMESPACE, "delete", each["kind"], name, "--wait=false")
    kube.kubectl("-n", demo.NAMESPACE, "delete", "gateway", *GATEWAYS)
    wait_for(
        "their proxies' end",
        lambda: len(kube.items("pods", "-n", EG_NAMESPACE, "-l", PROXY_LABELS)) == 1,
        90,
    )


def written(who: str, folder: Path) -> Path:
    """Return the objects of one Gateway in a file."""
    path = folder / f"{who}.yaml"
    path.write_text(string.Template(MANIFEST.read_text("utf-8")).substitute(WHO=who), "utf-8")
    return path


def repair(path: Path, fixes: Path) -> None:
    """Apply the objects after their repair: what `--fix` and `--write-fixes` do, the rest by hand.

    By hand: the TLS policy of a backend that speaks no TLS goes, the issuer becomes a URI, and the
    policies of routes get the passive health check.
    """
    there = path.with_name("there.yaml")
    kinds = "services,namespaces,gatewayclasses"
    there.write_text(kube.kubectl("get", kinds, "-A", "-o", "yaml"), "utf-8")
    given = ("-f", str(path), "-f", str(there), "--from", "1.2.8", "--to", "1.3.0")
    told = egops("upgrade-check", *given, "--fix", "--yes", "--write-fixes", str(fixes))
    assert told.report, told.told()
    found = yaml.safe_load_all(path.read_text("utf-8"))
    objects = [each for each in found if each["kind"] != "BackendTLSPolicy"]
    new = yaml.safe_load(next(fixes.glob("egu-1303-*.yaml")).read_text("utf-8"))
    for each in objects:
        if each["kind"] == "BackendTrafficPolicy":
            each["spec"]["healthCheck"] = new["spec"]["healthCheck"]
        if each["kind"] == "SecurityPolicy":
            each["spec"]["jwt"]["providers"][0]["issuer"] = "https://partner.test"
    kube.apply_objects(*objects, new)


def verify(upgraded: Upgraded) -> Run:
    """Return what `upgrade verify` says of the cluster."""
    before = ("--snapshot", str(upgraded.saved), "--predicted", str(upgraded.predicted))
    return egops("upgrade", "verify", *before, "--window", "0")


def came_true(run: Run, story: Story) -> None:
    """Check each prediction about the careless Gateway, and keep the table."""
    found: dict[tuple[str, str], dict[str, Any]] = {
        (each["code"], place(each)): each for each in run.report["predictions"]
    }
    for code, where in EXPECTED.items():
        each = found[code, where]
        story.note(f"{code} {where}: {each['outcome']}: {each['because'][:160]}")
        assert each["outcome"] == "happened", each
    story.record.codes = " ".join(EXPECTED)
    counts = Counter(each["outcome"] for each in found.values())
    story.note(f"predictions: {dict(counts)}")


def told_of(who: str, findings: list[dict[str, Any]]) -> list[str]:
    """Return the errors and warnings at objects of one Gateway."""
    return [
        f"{f['code']} {place(f)}: {f['message']}"
        for f in findings
        if f["severity"] != "info" and f"demo/{who}" in place(f)
    ]


def fleets_are_rolled_out() -> None:
    """Wait until every fleet runs what the new controller wants."""
    names = kube.items("deployment", "-n", EG_NAMESPACE, "-l", PROXY_LABELS)
    kube.rolled_out(EG_NAMESPACE, *(f"deployment/{each['metadata']['name']}" for each in names))
    wait_for(
        "the old proxies' end",
        lambda: len(kube.items("pods", "-n", EG_NAMESPACE, "-l", PROXY_LABELS)) == len(names),
        90,
    )
    faults.wait_until_connected()


def wait_until_served() -> None:
    """Wait until the plain route of each Gateway answers."""
    programmed = ("wait", "--for=condition=Programmed", "--timeout=120s")
    kube.kubectl("-n", demo.NAMESPACE, *programmed, *(f"gateway/{each}" for each in GATEWAYS))
    for each in GATEWAYS:
        wait_for(f"{each} answers", lambda who=each: ask(who, "plain") == 200, 60)  # type: ignore[misc]


def answers(who: str) -> dict[str, dict[int, int]]:
    """Return how often each status was answered, by route."""
    return {
        route: dict(Counter(ask(who, route) for _ in range(3 if route == "canary" else 1)))
        for route in ROUTES
    }


def ask(who: str, route: str) -> int:
    """Return the status of a request to one Gateway; 0 if it does not answer."""
    label = f"gateway.envoyproxy.io/owning-gateway-name={who}"
    service = kube.items("service", "-n", EG_NAMESPACE, "-l", label)[0]
    port = next(p["nodePort"] for p in service["spec"]["ports"] if p["port"] == 80)
    command = ("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}")
    return int(sh(*command, "-H", f"Host: {route}.{who}.test", f"http://{NODE_IP}:{port}/") or 0)
