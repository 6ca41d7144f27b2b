"""The API server is slow, overloaded, or keeps some lists to itself."""

import re
import time

import pytest

from tests.e2e.harness.api_proxy import Answer, between
from tests.e2e.harness.command import NO_PAST, doctor, egops
from tests.e2e.harness.installation import EnvoyGateway
from tests.e2e.harness.story import Story

POLICIES = re.compile(r"/(securitypolicies|clienttrafficpolicies)(\?|$)")


@pytest.mark.once
def test_refused_lists_become_skips_that_name_the_permission(
    eg: EnvoyGateway, story: Story
) -> None:
    story.record.fault = "the API server refuses to list two kinds"

    def refuse(path: str) -> Answer | None:
        if found := POLICIES.search(path):
            message = f'{found.group(1)}.gateway.envoyproxy.io is forbidden: User "ci" cannot list'
            return Answer(status=403, message=message)
        return None

    with between(refuse) as (kubeconfig, _):
        run = doctor(*NO_PAST, kubeconfig=kubeconfig)

    assert run.exit_code in {0, 3}, run.told()
    told = " ".join(skip["reason"] for skip in run.skipped).lower()
    assert "securitypolicies" in told or "securitypolicy" in told, run.told()
    assert "forbidden" in told, run.told()
    assert not run.loud(), run.told()
    story.note(f"{len(run.skipped)} skipped: {run.skipped[:3]}")


@pytest.mark.once
def test_slow_list_is_a_skip_and_not_a_hang(eg: EnvoyGateway, story: Story) -> None:
    story.record.fault = "the API server takes very long for one kind"

    def slow(path: str) -> Answer | None:
        return Answer(delay=25) if POLICIES.search(path) else None

    began = time.monotonic()
    with between(slow) as (kubeconfig, _):
        run = doctor(*NO_PAST, "--request-timeout", "2s", kubeconfig=kubeconfig)
    took = time.monotonic() - began

    assert took < 24, f"{took:.0f} s: {run.told()}"
    assert run.exit_code in {0, 3}, run.told()
    told = " ".join(skip["reason"] for skip in run.skipped).lower()
    assert "securitypolicies" in told or "securitypolicy" in told, run.told()
    assert "within 2 s" in told or "timed out" in told, run.told()
    story.note(f"{took:.1f} s; {run.skipped[:2]}")


@pytest.mark.once
def test_overloaded_api_server_is_asked_again(eg: EnvoyGateway, story: Story) -> None:
    story.record.fault = "the API server answers 429 twice, with Retry-After"
    refused: list[str] = []

    def busy(path: str) -> Answer | None:
        if "/httproutes" in path and len(refused) < 2:
            refused.append(path)
            return Answer(status=429, message="too many requests", headers={"Retry-After": "1"})
        return None

    with between(busy) as (kubeconfig, _):
        run = doctor(*NO_PAST, kubeconfig=kubeconfig)

    assert len(refused) == 2, run.told()
    assert run.exit_code == 0, run.told()
    assert not [skip for skip in run.skipped if "httproute" in skip["reason"].lower()], run.told()


@pytest.mark.once
def test_number_of_requests_does_not_grow_with_objects(eg: EnvoyGateway, story: Story) -> None:
    with between(lambda _path: None) as (kubeconfig, seen):
        run = doctor(*NO_PAST, kubeconfig=kubeconfig)

    assert run.exit_code == 0, run.told()
    lists = [line for line in seen if line.startswith("200 ") and "/pods/" not in line]
    story.note(f"{len(seen)} requests, {len(lists)} of them lists, in {run.seconds:.1f} s")
    assert len(lists) == len(set(lists)), "a list was answered twice:\n" + "\n".join(seen)


@pytest.mark.once
def test_unreachable_api_server_is_one_clear_error(eg: EnvoyGateway, story: Story) -> None:
    story.record.fault = "nobody listens where the kubeconfig points"
    with between(lambda _path: None) as (kubeconfig, _):
        dead = kubeconfig.with_name("dead.kubeconfig")
        dead.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", kubeconfig.read_text()))
    try:
        run = egops("doctor", kubeconfig=dead, as_json=False)
    finally:
        dead.unlink()

    assert run.exit_code == 3, run.told()
    assert run.stderr.startswith("error: "), run.told()
    assert "Traceback" not in run.stderr, run.told()
