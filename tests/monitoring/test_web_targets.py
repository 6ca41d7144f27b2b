"""Grafana boards, Grafana-managed alerts and the ruler of Mimir, against strict servers."""

from __future__ import annotations

import datetime
import ipaddress
import json
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from egops.errors import AccessError, InputError, UnreachableError
from egops.monitoring.install import RefusedError, alerts_content, boards_content, carry_out
from egops.monitoring.targets.choice import TargetOptions, choose
from egops.monitoring.targets.grafana import marked
from egops.monitoring.targets.grafana_alerts import convert, inlined
from egops.monitoring.values import values
from egops.plan import Action
from tests.monitoring.servers import TOKEN, Grafana, Ruler, Web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egops.monitoring.targets import Content, Target
    from egops.plan import Plan

BOARDS = boards_content(())
ALERTS = alerts_content(values(), "full")
UID = "egops-xds"
FOLDER = "egops-envoy-gateway"


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web(Grafana(datasources=[{"uid": "prom", "type": "prometheus", "name": "P"}]), Ruler())
    yield made
    made.close()


def target(web: Web, to: str, **more: Any) -> Target:
    given = {"token": TOKEN, "tenant": "team"} | more
    return choose("dashboards" if to == "grafana" else "alerts",
                  TargetOptions(to=to, url=web.url, **given))  # fmt: skip


def install(
    at: Target, content: Content, *, overwrite: bool = False, dry_run: bool = False
) -> Plan:
    plan = at.plan(content, overwrite=overwrite)
    list(carry_out(at, plan, overwrite=overwrite, dry_run=dry_run))
    return plan


def actions(plan: Plan) -> dict[str, Action]:
    return {change.what: change.action for change in plan.changes}


def test_boards_are_installed_into_a_folder_of_ours(web: Web) -> None:
    install(target(web, "grafana"), BOARDS)

    assert web.grafana.folders == {FOLDER: "Envoy Gateway"}
    assert set(web.grafana.boards) == {str(board["uid"]) for board in BOARDS.boards.values()}
    assert set(web.grafana.places.values()) == {FOLDER}


def test_a_second_installation_writes_nothing(web: Web) -> None:
    install(target(web, "grafana"), BOARDS)
    before = list(web.grafana.writes)

    plan = install(target(web, "grafana"), BOARDS)

    assert set(actions(plan).values()) == {Action.NONE}
    assert web.grafana.writes == before


def test_a_dry_run_writes_nothing(web: Web) -> None:
    plan = install(target(web, "grafana"), BOARDS, dry_run=True)

    assert len(plan.pending) == 6
    assert web.grafana.writes == []


def test_an_edited_board_is_shown_and_not_overwritten_without_asking(web: Web) -> None:
    install(target(web, "grafana"), BOARDS)
    web.grafana.boards[UID]["panels"][1]["title"] = "Mine"
    web.grafana.boards[UID]["version"] += 1

    with pytest.raises(RefusedError, match="somebody edited it since egops wrote it"):
        install(target(web, "grafana"), BOARDS)

    plan = target(web, "grafana").plan(BOARDS, overwrite=False)
    diff = [line for change in plan.refused for line in change.diff()]
    assert any(line.startswith("-") and '"Mine"' in line for line in diff)
    install(target(web, "grafana"), BOARDS, overwrite=True)
    assert web.grafana.boards[UID]["panels"][1]["title"] != "Mine"


def test_an_older_board_of_ours_is_updated_without_asking(web: Web) -> None:
    install(target(web, "grafana"), BOARDS)
    older = {**BOARDS.boards["xds"], "description": "what it was before"}
    web.grafana.boards[UID] |= {k: v for k, v in marked(older).items() if k != "id"}

    plan = install(target(web, "grafana"), BOARDS)

    assert actions(plan)[f"board {UID}"] is Action.UPDATE
    assert web.grafana.boards[UID]["description"] == BOARDS.boards["xds"]["description"]


def test_a_provisioned_board_is_refused_even_with_overwrite(web: Web) -> None:
    install(target(web, "grafana"), BOARDS)
    web.grafana.provisioned.add(UID)
    web.grafana.boards[UID]["title"] = "Provisioned"

    with pytest.raises(RefusedError, match=r"provisioned from egops-xds.json: change it there"):
        install(target(web, "grafana"), BOARDS, overwrite=True)


def test_a_board_of_somebody_else_is_refused(web: Web) -> None:
    web.grafana.folders["theirs"] = "Theirs"
    web.grafana.boards[UID] = {"uid": UID, "title": "Theirs", "id": 1, "version": 3}
    web.grafana.places[UID] = "theirs"

    with pytest.raises(RefusedError, match="was not made by egops"):
        install(target(web, "grafana"), BOARDS)

    assert web.grafana.writes == []


def test_a_folder_with_the_same_title_is_named(web: Web) -> None:
    web.grafana.folders["theirs"] = "Envoy Gateway"

    with pytest.raises(RefusedError, match="--folder-uid theirs uses it"):
        install(target(web, "grafana"), BOARDS)

    install(target(web, "grafana", folder_uid="theirs"), BOARDS)
    assert set(web.grafana.places.values()) == {"theirs"}


def test_a_board_that_changes_between_plan_and_write_is_not_overwritten(web: Web) -> None:
    at = target(web, "grafana")
    install(at, BOARDS)
    older = marked({**BOARDS.boards["xds"], "description": "older"})
    web.grafana.boards[UID] |= {key: older[key] for key in older if key != "id"}
    plan = at.plan(BOARDS, overwrite=False)
    web.grafana.boards[UID]["version"] += 1

    with pytest.raises(UnreachableError, match="The dashboard has been changed"):
        list(carry_out(at, plan, overwrite=False, dry_run=False))


def test_uninstalling_leaves_what_is_not_ours(web: Web) -> None:
    at = target(web, "grafana")
    install(at, BOARDS)
    web.grafana.boards["theirs"] = {"uid": "theirs", "title": "T", "tags": ["egops"], "id": 9}
    web.grafana.places["theirs"] = FOLDER

    list(carry_out(at, at.removal("dashboards"), overwrite=False, dry_run=False))

    assert set(web.grafana.boards) == {"theirs"}
    assert web.grafana.folders == {FOLDER: "Envoy Gateway"}


def test_uninstalling_removes_an_empty_folder(web: Web) -> None:
    at = target(web, "grafana")
    install(at, BOARDS)

    list(carry_out(at, at.removal("dashboards"), overwrite=False, dry_run=False))

    assert web.grafana.boards == {}
    assert web.grafana.folders == {}


def test_naming_one_board_leaves_the_others(web: Web) -> None:
    install(target(web, "grafana"), BOARDS)

    plan = install(target(web, "grafana"), boards_content(("xds",)))

    assert Action.DELETE not in actions(plan).values()


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ((401, '{"message":"Unauthorized"}'), AccessError, "does not accept the credentials"),
        ((403, '{"message":"no permission"}'), AccessError, "no permission"),
        ((429, ""), UnreachableError, "too many requests"),
        ((502, "<html>"), UnreachableError, "answered 502"),
        ((200, "<html>login</html>"), UnreachableError, "does not answer as Grafana: an HTML page"),
        ((302, ""), UnreachableError, "redirects"),
    ],
)
def test_a_server_that_misbehaves_is_explained(
    web: Web, wrong: tuple[int, str], error: type[Exception], said: str
) -> None:
    web.wrong = wrong

    with pytest.raises(error, match=said):
        install(target(web, "grafana"), BOARDS)


@pytest.mark.parametrize(
    "answer", ['{"status":"success","data":[]}', "[1]", '"text"', '{"error":"no"}']
)
@pytest.mark.parametrize("name", ["grafana", "grafana-alerts", "mimir"])
def test_a_server_of_another_kind_is_explained(web: Web, name: str, answer: str) -> None:
    """A Prometheus, a proxy's health page: success, JSON, and nothing that we asked for."""
    web.wrong = (200, answer)
    content = BOARDS if name == "grafana" else ALERTS

    with pytest.raises(UnreachableError, match="does not answer as") as caught:
        install(target(web, name, datasource_uid="x"), content)

    assert "is it the address of" in caught.value.hint


def test_a_proxy_that_wants_credentials_is_explained(web: Web) -> None:
    web.wrong = (407, "")

    with pytest.raises(AccessError, match=r"the proxy to .* wants credentials"):
        install(target(web, "grafana"), BOARDS)


def test_a_file_that_is_no_certificate_is_refused(web: Web, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not PEM", "utf-8")

    with pytest.raises(InputError, match="holds no certificate in PEM"):
        target(web, "grafana", ca=str(tmp_path / "ca.pem"))


def test_a_wrong_token_is_explained_and_never_shown(web: Web) -> None:
    with pytest.raises(AccessError) as caught:
        install(target(web, "grafana", token="secret-token"), BOARDS)

    assert "secret-token" not in str(caught.value) + caught.value.hint


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that signs itself, and its key, made for this test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "tls.crt", tmp_path / "tls.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def test_a_certificate_is_checked_against_the_given_ca_whatever_the_environment_says(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    made = Web(Grafana(), Ruler(), certificate)
    try:
        with pytest.raises(UnreachableError, match="certificate verify failed: self-signed"):
            install(target(made, "grafana"), BOARDS)
        install(target(made, "grafana", ca=str(certificate[0])), BOARDS)
        again = install(target(made, "grafana", insecure=True), BOARDS)
    finally:
        made.close()

    assert len(made.grafana.boards) == 5
    assert again.pending == ()


def test_nobody_at_the_address_is_explained() -> None:
    at = choose("dashboards", TargetOptions(to="grafana", url="http://127.0.0.1:9", token="x"))

    with pytest.raises(UnreachableError, match="connection refused"):
        at.plan(BOARDS, overwrite=False)


def test_groups_reach_the_ruler_and_a_second_time_nothing_is_written(web: Web) -> None:
    install(target(web, "mimir"), ALERTS)
    before = list(web.ruler.writes)

    plan = install(target(web, "mimir"), ALERTS)

    assert set(web.ruler.tenants["team"]) == {group["name"] for group in ALERTS.groups}
    assert web.ruler.tenants["team"]["egops-xds"]["rules"] == ALERTS.groups[1]["rules"]
    assert set(actions(plan).values()) == {Action.NONE}
    assert web.ruler.writes == before


def test_only_the_group_that_changed_is_posted_and_one_left_over_is_removed(web: Web) -> None:
    install(target(web, "mimir"), ALERTS)
    web.ruler.tenants["team"]["egops-old"] = {"name": "egops-old", "rules": [{"record": "a:b"}]}
    web.ruler.writes.clear()

    changed = alerts_content(values({}, ["disconnected.share=0.7"]), "full")
    install(target(web, "mimir"), changed)

    assert web.ruler.writes == [
        "POST /prometheus/config/v1/rules/egops",
        "DELETE /prometheus/config/v1/rules/egops/egops-old",
    ]


def test_a_missing_tenant_and_a_wrong_prefix_are_explained(web: Web) -> None:
    with pytest.raises(AccessError) as caught:
        install(target(web, "mimir", tenant=""), ALERTS)
    assert "wants a tenant" in caught.value.message
    assert caught.value.hint == "give --tenant"
    with pytest.raises(UnreachableError, match="no ruler API under /elsewhere"):
        install(target(web, "mimir", ruler_prefix="/elsewhere"), ALERTS)


def test_uninstalling_empties_the_namespace(web: Web) -> None:
    at = target(web, "mimir")
    install(at, ALERTS)

    list(carry_out(at, at.removal("alerts"), overwrite=False, dry_run=False))

    assert web.ruler.tenants["team"] == {}


def test_grafana_managed_alerts_are_installed_and_then_left_alone(web: Web) -> None:
    install(target(web, "grafana-alerts"), ALERTS)
    before = list(web.grafana.writes)

    plan = install(target(web, "grafana-alerts"), ALERTS)

    assert ("egops-envoy-gateway", "egops-slo") in web.grafana.groups
    assert set(actions(plan).values()) == {Action.NONE}
    assert web.grafana.writes == before
    assert "EnvoyGatewayConfigFrozen is left out: it needs recording rules." in plan.notes


def test_an_edited_grafana_group_is_refused(web: Web) -> None:
    install(target(web, "grafana-alerts"), ALERTS)
    web.grafana.groups[FOLDER, "egops-xds"]["rules"][0]["for"] = "77m"

    with pytest.raises(RefusedError, match="somebody edited it"):
        install(target(web, "grafana-alerts"), ALERTS)

    install(target(web, "grafana-alerts"), ALERTS, overwrite=True)
    assert web.grafana.groups[FOLDER, "egops-xds"]["rules"][0]["for"] != "77m"


def test_grafana_managed_alerts_are_removed_one_by_one(web: Web) -> None:
    at = target(web, "grafana-alerts")
    install(at, ALERTS)
    web.grafana.groups[FOLDER, "theirs"] = {"rules": [{"uid": "mine", "ruleGroup": "theirs"}]}

    list(carry_out(at, at.removal("alerts"), overwrite=False, dry_run=False))

    assert set(web.grafana.groups) == {(FOLDER, "theirs")}


def test_several_data_sources_have_to_be_chosen_from(web: Web) -> None:
    web.grafana.datasources.append({"uid": "two", "type": "prometheus", "name": "Q"})

    with pytest.raises(InputError, match=r"P \(prom\), Q \(two\)"):
        install(target(web, "grafana-alerts"), ALERTS)

    install(target(web, "grafana-alerts", datasource_uid="two"), ALERTS)


def test_recorded_names_are_written_out() -> None:
    groups, left_out = convert(ALERTS.groups, "prom", FOLDER)
    text = json.dumps(groups)

    assert left_out == ["EnvoyGatewayConfigFrozen"]
    assert "gateway:envoy" not in text
    assert "runner:watchable" not in text


def test_a_record_that_reads_itself_cannot_be_written_out() -> None:
    assert inlined("a:b > 1", {"a:b": "time() or last_over_time(a:b[5m])"}) is None
    assert inlined("a:b > 1", {"a:b": "c:d * 2", "c:d": "up"}) == "((up) * 2) > 1"
    assert inlined("aa:b > 1", {"a:b": "up"}) == "aa:b > 1"


def test_a_target_that_needs_an_address_says_so() -> None:
    with pytest.raises(InputError, match="--to mimir needs an address"):
        choose("alerts", TargetOptions(to="mimir"))
    with pytest.raises(InputError, match="is not a URL"):
        choose("alerts", TargetOptions(to="mimir", url="grafana.example"))
    with pytest.raises(InputError, match="needs a folder"):
        choose("alerts", TargetOptions(to="files"))
