"""The clusters that stories are told in, and the table at the end.

EGOPS_E2E_EG names what to run: versions of Envoy Gateway, and `upgrade` for the stories that move
between versions. Every test that takes `eg` runs once per version, all on one cluster.
"""

import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import gateway, host, lifecycle, settings
from tests.e2e.cluster.shell import RigError, say
from tests.e2e.harness import faults
from tests.e2e.harness.installation import VALUES, EnvoyGateway
from tests.e2e.harness.story import Record, Story, save, table

DEFAULT = "1.3.0 1.9.0 upgrade"
RECORDS: list[Record] = []
TIMINGS: dict[str, float] = {}
REPORT = Path(os.environ.get("EGOPS_E2E_REPORT", "build/e2e-stories.json"))


def chosen() -> list[str]:
    return os.environ.get("EGOPS_E2E_EG", DEFAULT).replace(",", " ").split()


def versions() -> list[str]:
    return [name for name in chosen() if name != "upgrade"]


def is_full() -> bool:
    return os.environ.get("EGOPS_E2E_CERTS") == "full"


def unable() -> str:
    """Return why this machine cannot run the cluster, or nothing."""
    if os.geteuid():
        return "needs root: namespaces, mounts and cgroups"
    for name in versions():
        if name not in settings.ENVOY:
            return f"no recipe for Envoy Gateway {name}; there are: {', '.join(settings.ENVOY)}"
    return ""


def refuse(reason: str) -> None:
    """Skip with the reason, or fail where everything must run."""
    if os.environ.get("EGOPS_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "once: told with one version only")
    config.addinivalue_line("markers", "long: once, but EGOPS_E2E_CERTS=full tells every version")
    config.addinivalue_line("markers", "full: takes minutes; told with EGOPS_E2E_CERTS=full only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "eg" in metafunc.fixturenames:
        wanted = versions()
        definition = metafunc.definition
        long = definition.get_closest_marker("long") and not is_full()
        if definition.get_closest_marker("once") or long:
            wanted = wanted[-1:]  # what does not depend on the version is told with the newest
        metafunc.parametrize("eg", wanted, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order by version, in each the healthy story first and rotations last; then upgrades."""

    def key(item: pytest.Item) -> tuple[int, int]:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        version = parameters.get("eg")
        rank = versions().index(version) if version in versions() else len(versions())
        stem = item.path.stem
        return rank, 0 if "healthy" in stem else 2 if "rotate" in stem else 1

    if not is_full():
        items[:] = [item for item in items if not item.get_closest_marker("full")]
    for item in items:
        item.add_marker(pytest.mark.e2e)
    items.sort(key=key)


@pytest.fixture(scope="session")
def cluster_stays() -> bool:
    """Whether the cluster is still wanted when this run is over."""
    return lifecycle.is_up() or bool(os.environ.get("EGOPS_E2E_KEEP"))


@pytest.fixture(scope="session")
def cluster(cluster_stays: bool) -> Iterator[None]:
    """A running cluster; what this run started, it removes, also when interrupted."""
    if reason := unable():
        refuse(reason)
    keep = cluster_stays
    if not lifecycle.is_up() and host.leftovers():
        lifecycle.down()  # a cluster whose processes were ended from outside
    try:
        with lifecycle.sigterm_as_interrupt():
            TIMINGS["up"] = lifecycle.up()
            yield
    except RigError as exc:
        if os.environ.get("EGOPS_REQUIRE_ALL"):
            raise
        pytest.skip(str(exc))
    finally:
        if not keep:
            TIMINGS["down"] = lifecycle.down()


def fresh_install(version: str) -> None:
    """Have exactly this version, on a cluster without history."""
    if gateway.installed_version():
        lifecycle.down()
        lifecycle.up()
    took = gateway.install(version, values=VALUES)
    TIMINGS[f"install {version}"] = took["answer"]


@pytest.fixture(scope="session")
def eg(request: pytest.FixtureRequest, cluster: None) -> EnvoyGateway:
    """Envoy Gateway of this version with the demo gateway, all ready."""
    version: str = request.param
    if gateway.installed_version() == version:
        say(f"Envoy Gateway {version} is there already: used as it is")
        gateway.install(version, values=VALUES)
    else:
        fresh_install(version)
    faults.wait_until_connected()
    return EnvoyGateway(version)


def have_none() -> None:
    """Have a cluster without Envoy Gateway, if upgrades are asked for at all."""
    if "upgrade" not in chosen():
        pytest.skip(f"EGOPS_E2E_EG asks for {' '.join(chosen())} only")
    if gateway.installed_version():
        lifecycle.down()
        lifecycle.up()


@pytest.fixture
def fresh(cluster: None) -> None:
    """A cluster without Envoy Gateway, for a story that installs it itself."""
    have_none()


@pytest.fixture(scope="module")
def fresh_for_all(cluster: None) -> None:
    """The same for several stories about one installation."""
    have_none()


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Story:
    """The story this test tells."""
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    name = request.node.originalname.removeprefix("test_").replace("_", " ")
    record = Record(version=parameters.get("eg", "upgrade"), story=name)
    RECORDS.append(record)
    request.node.stash[RECORD] = record
    return Story(record)


RECORD = pytest.StashKey[Record]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    record = item.stash.get(RECORD, None)
    if record and (report.when == "call" or report.failed or report.skipped):
        record.outcome = report.outcome
    return report


def pytest_sessionfinish() -> None:
    if RECORDS:
        save(RECORDS, REPORT, {name: round(value, 1) for name, value in TIMINGS.items()})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not RECORDS:
        return
    terminalreporter.section("stories")
    for line in table(RECORDS):
        terminalreporter.write_line(line)
    took = ", ".join(f"{name} {value:.0f} s" for name, value in TIMINGS.items())
    terminalreporter.write_line(f"stages: {took}")
    terminalreporter.write_line(f"written at {time.strftime('%H:%M:%S')} to {REPORT}")
