"""A healthy installation: the gateway answers, doctor has nothing to complain about."""

from tests.e2e.cluster import gateway
from tests.e2e.harness.command import doctor
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story


def test_healthy_installation_has_no_error_and_no_warning(eg: EnvoyGateway, story: Story) -> None:
    assert gateway.ask("www.demo.test") == 200
    assert gateway.ask("moved.demo.test") == 301
    assert gateway.ask("private.demo.test") == 401
    assert gateway.ask("private.demo.test", "/", "-u", "rig:rig") == 200

    run = doctor()

    story.note(f"doctor took {run.seconds:.1f} s: {run.report.get('summary')}")
    assert run.report, run.told()
    assert not run.loud(), run.told()
    assert not run.report["crashed"], run.told()
    assert run.exit_code == 0, run.told()
    assert run.report["source"]["egVersion"].lstrip("v") == eg.version
    assert run.report["summary"]["ok"] > 20, run.told()
