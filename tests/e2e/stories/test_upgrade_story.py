"""An upgrade that is predicted, made and verified: the prediction comes true, object by object.

Two Gateways have the same objects, which hit eight rules of 1.2.8 -> 1.3.0. One is upgraded as it
is; the other's objects are repaired first, as `upgrade-check` proposes, and lose nothing.
"""

import json
import string
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cluster import gateway, kube, pki
from tests.e2e.cluster.settings import EG_NAMESPACE, HERE, NODE_IP, PROXY_LABELS
from tests.e2e.cluster.shell import sh, wait_for
from tests.e2e.harness import demo, faults
from tests.e2e.harness.command import Run, egops, place
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
FAILING = ("canary", "mirror", "secure", "tokens")  # routes that answer 500 if nothing is done


def test_an_upgrade_goes_as_predicted(fresh: None, story: Story, tmp_path: Path) -> None:
    story.record.version = "1.2.8 → 1.3.0"
    gateway.install("1.2.8", values=VALUES)
    kube.apply_text(written("careless", tmp_path).read_text("utf-8"))
    repair(written("careful", tmp_path), tmp_path / "fixes")
    wait_until_served("careless", "careful")
    before = {who: answers(who) for who in ("careless", "careful")}
    saved, predicted = tmp_path / "before.zip", tmp_path / "predicted.json"
    assert not egops("bundle", str(saved), "--window", "0").exit_code

    check = egops("upgrade-check", "-f", str(saved), "--to", "1.3.0")
    predicted.write_text(json.dumps(check.report), "utf-8")
    assert EXPECTED.items() <= {(f["code"], place(f)) for f in check.findings}, check.told()
    assert not told_of("careful", check.findings), check.told()

    took = gateway.install("1.3.0", upgrade=True, values=VALUES)
    fleets_are_rolled_out()
    wait_until_served("careless", "careful")
    run = verify(saved, predicted)

    story.note(f"upgraded in {took['answer']:.0f} s; verified in {run.seconds:.1f} s")
    came_true(run, story)
    assert run.exit_code == 1
    assert not told_of("careful", run.findings), run.told()
    assert not [f for f in run.findings if f["code"] == "EGU-0001" and f["severity"] != "info"]
    after = {who: answers(who) for who in before}
    story.note(f"careless: {before['careless']} -> {after['careless']}")
    story.note(f"careful: {before['careful']} -> {after['careful']}")
    assert after["careful"] == before["careful"]
    assert {route for route in ROUTES if 500 in after["careless"][route]} == set(FAILING)
    lost = {place(f).rpartition("/")[2] for f in run.findings if f["code"] == "EGU-0004"}
    assert {f"careless-{route}" for route in FAILING} <= lost


def written(who: str, folder: Path) -> Path:
    """Return the objects of one Gateway in a file."""
    path = folder / f"{who}.yaml"
    path.write_text(string.Template(MANIFEST.read_text("utf-8")).substitute(WHO=who), "utf-8")
    return path


def repair(path: Path, fixes: Path) -> None:
    """Apply the objects after their repair: what `--fix` and `--write-fixes` do, the rest by hand.

    By hand: the missing CA, the issuer, and the passive health check in the policies of routes.
    """
    there = path.with_name("there.yaml")
    kinds = "services,namespaces,gatewayclasses"
    there.write_text(kube.kubectl("get", kinds, "-A", "-o", "yaml"), "utf-8")
    given = ("-f", str(path), "-f", str(there), "--from", "1.2.8", "--to", "1.3.0")
    told = egops("upgrade-check", *given, "--fix", "--yes", "--write-fixes", str(fixes))
    assert told.report, told.told()
    objects = list(yaml.safe_load_all(path.read_text("utf-8")))
    new = yaml.safe_load(next(fixes.glob("egu-1303-*.yaml")).read_text("utf-8"))
    for each in objects:
        if each["kind"] == "BackendTrafficPolicy":
            each["spec"]["healthCheck"] = new["spec"]["healthCheck"]
        if each["kind"] == "SecurityPolicy":
            each["spec"]["jwt"]["providers"][0]["issuer"] = "https://partner.test"
    authority = pki.pem("demo-ca")[0].decode()
    ca = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": authority}}
    ca["metadata"] = {"name": "careful-ca", "namespace": demo.NAMESPACE}
    kube.apply_objects(*objects, new, ca)


def verify(saved: Path, predicted: Path) -> Run:
    """Return what `upgrade verify` says of the cluster, once no condition is on its way."""
    words = ("upgrade", "verify", "--snapshot", str(saved), "--predicted", str(predicted))
    return egops(*words, "--window", "0")


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


def wait_until_served(*gateways: str) -> None:
    """Wait until the plain route of each Gateway answers."""
    programmed = ("wait", "--for=condition=Programmed", "--timeout=120s")
    kube.kubectl("-n", demo.NAMESPACE, *programmed, *(f"gateway/{each}" for each in gateways))
    for each in gateways:
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
