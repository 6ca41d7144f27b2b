"""The inventory has every certificate once, with who uses it."""

from __future__ import annotations

from pathlib import Path

from egops.certificate_rows import rows
from egops.inventory import external, held
from egops.render import Terminal
from egops.render.inventory import left, plain, table
from tests.making import snapshot
from tests.rules.snapshots import load_fixture

RULES = Path("tests/rules/tls")


def test_what_only_a_proxy_holds_is_in_it_once() -> None:
    found = rows(load_fixture(RULES / "proxy_holds_stale_certificate/stale.yaml"))

    live = [row for row in found if row.kind == "Pod"]
    assert [(row.name, row.key, row.role) for row in live] == [
        ("envoy-1", "/certs", "client"), ("envoy-1", "/certs", "CA"),
    ]  # fmt: skip
    assert len({(row.owner, row.key, row.index) for row in found if row.kind == "Secret"}) == 6


def test_what_a_pod_serves_and_no_secret_holds_is_in_it_once() -> None:
    found = rows(load_fixture(RULES / "control_plane_serves_stale_certificate/stale.yaml"))

    assert [(row.name, row.key) for row in found if row.kind == "Pod"] == [("eg-1", "port 18000")]


def test_members_of_a_bundle_are_told_apart() -> None:
    found = rows(load_fixture(RULES / "trust_transition_unfinished/days.yaml"))

    places = [row.place for row in found if row.name == "envoy"]
    assert places == ["tls.crt", "ca.crt", "ca.crt[1]"]


def test_one_that_several_use_names_them_all() -> None:
    found = held(load_fixture(RULES / "given_certificate_expiring/given.yaml"))

    (soon,) = (one for one in found if one.holder.name == "soon")
    assert soon.users == ("ClientTrafficPolicy demo/d", "BackendTLSPolicy demo/a")
    (client,) = (one for one in found if one.holder.name == "client")
    assert (client.role, client.users) == ("client", ("EnvoyProxy demo/proxy",))


def test_nothing_read_is_said() -> None:
    empty = snapshot()

    assert rows(empty) == []
    assert external(empty) == {}
    assert table([], empty.taken_at, None, Terminal()) == "No certificates were read.\n"


def test_bar_shows_the_share_of_the_lifetime_and_works_in_ascii() -> None:
    shot = load_fixture(RULES / "listener_certificate_expiring/deadlines.yaml")
    by_name = {row.name: row for row in rows(shot)}
    ascii_only = Terminal(unicode=False)

    assert left(by_name["over"], shot.taken_at, ascii_only).startswith("-------- ended ")
    soon = left(by_name["soon"], shot.taken_at, ascii_only)
    assert soon.startswith("#-------")
    assert soon.endswith(" d")
    assert plain(by_name["over"], shot.taken_at)["daysLeft"] < 0


def test_colour_marks_what_ends_and_cuts_nothing() -> None:
    shot = load_fixture(RULES / "listener_certificate_expiring/deadlines.yaml")
    found = rows(shot)

    plain_text = table(found, shot.taken_at, None, Terminal())
    coloured = table(found, shot.taken_at, None, Terminal(color=True))

    assert "\x1b[" in coloured
    assert "\x1b[" not in plain_text
    assert all(row.place in plain_text for row in found)
