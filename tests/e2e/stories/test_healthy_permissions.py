"""An operator with exactly the published permissions, or with one of them taken away."""

from functools import partial

import pytest

from tests.e2e.cluster.shell import wait_for
from tests.e2e.harness import access
from tests.e2e.harness.command import NO_PAST, Run, doctor
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story


def forbidden(run: Run) -> list[str]:
    """Return the skips for want of permission."""
    reasons = [f"{skip['code']}: {skip['reason']}" for skip in run.skipped]
    return [text for text in reasons if "forbidden" in text.lower() or "permission" in text.lower()]


def test_published_role_is_enough(eg: EnvoyGateway, story: Story) -> None:
    rules = access.published_rules()
    assert rules, "docs/rbac.yaml has no rules"
    with access.user(rules) as kubeconfig:
        wait_for("the role's effect", lambda: access.allowed(rules[-1]))
        run = doctor(*NO_PAST, kubeconfig=kubeconfig)

    assert run.exit_code == 0, run.told()
    assert not forbidden(run), run.told()
    assert not run.loud(), run.told()


@pytest.mark.once
def test_each_missing_permission_is_named(eg: EnvoyGateway, story: Story) -> None:
    """Without one kind, the checks that read it are skipped and say so; the others still judge."""
    everything = access.published_rules()
    missed = [rule for rule in everything if access.is_missed(rule)]
    assert len(missed) > 20, f"only {len(missed)} permissions of {len(everything)} would be missed"
    silent: list[str] = []
    with access.user(everything) as kubeconfig:
        for rule in missed:
            resource = rule["resources"][0]
            access.grant([other for other in everything if other is not rule])
            wait_for(f"{resource} to be refused", partial(access.refused, rule))
            run = doctor("--window", "0s", kubeconfig=kubeconfig)
            assert run.exit_code != 4, run.told()
            assert not run.report.get("crashed"), run.told()
            told = " ".join(forbidden(run)).lower() + run.stderr.lower()
            if resource.lower() not in told:
                silent.append(f"{resource}: exit {run.exit_code}, skips {forbidden(run)[:3]}")
    story.record.fault = f"{len(missed)} permissions taken away, one at a time"
    assert not silent, "nothing was said of: " + "\n".join(silent)
