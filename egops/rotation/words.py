"""Plans and progress in words. Never a key, never a PEM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egops.certs import CertificateError, days, read_chain
from egops.rotation.generation import CA, CRT, value
from egops.rotation.plan import phases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.rotation.plan import Found

Object = dict[str, Any]


def plan_lines(found: Found) -> Iterator[str]:
    """Yield a plan for people."""
    here = found.here
    version = ".".join(map(str, here.version)) if here.version else "of unknown release"
    mode = ", GatewayNamespace mode" if here.is_gateway_namespace_mode else ""
    yield f"Envoy Gateway {version} in {here.namespace}{mode}"
    yield f"state      {found.state}"
    if found.record is not None:
        record = found.record
        word = "under way" if found.is_under_way else "ended"
        yield f"rotation   {record.id}, {word}, last towards the {record.goal} certificates"
    yield ""
    yield "certificates"
    for name, secret in found.secrets.items():
        yield f"  {name:<17}{_held(secret, found)}"
    if found.has_webhook:
        yield f"  {'webhook':<17}caBundle of {here.webhook_name}"
    yield ""
    yield "who loads them"
    for one in found.consumers:
        end = f"; restarts in: {one.restart}" if one.restart else "; no restart"
        yield f"  {one.name} ({_count(one.count, 'pod')}): {one.loads}{end}"
    if found.owners:
        yield ""
        yield "who keeps them"
        for owner in found.owners:
            yield f"  {owner}"
            yield f"    {owner.advice}"
    yield ""
    yield "phases"
    for name, what, seconds in phases(found):
        yield f"  {name:<6} {seconds:<14}{what}"
    yield ""
    yield "what cannot be seen"
    yield from (f"  {line}" for line in found.unseen)
    yield from (f"warning: {line}" for line in found.warnings)
    yield from (f"in the way: {line}" for line in found.blockers)


def plan_data(found: Found) -> Object:
    """Return a plan as plain data."""
    here = found.here
    return {
        "namespace": here.namespace,
        "version": ".".join(map(str, here.version)) if here.version else "",
        "gatewayNamespaceMode": here.is_gateway_namespace_mode,
        "state": {
            "phase": found.state.phase.name.lower(),
            "reached": found.state.reached,
            "problems": list(found.state.problems),
        },
        "rotation": _record_data(found),
        "secrets": {name: _held_data(secret) for name, secret in found.secrets.items()},
        "consumers": [
            {"name": one.name, "pods": one.count, "loads": one.loads, "restart": one.restart}
            for one in found.consumers
        ],
        "owners": [
            {
                "secret": one.secret,
                "owner": one.name,
                "evidence": one.evidence,
                "advice": one.advice,
            }
            for one in found.owners
        ],
        "phases": [
            {"name": name, "what": what, "duration": seconds}
            for name, what, seconds in phases(found)
        ],
        "unseen": list(found.unseen),
        "warnings": list(found.warnings),
        "blockers": list(found.blockers),
    }


def _record_data(found: Found) -> Object | None:
    if found.record is None:
        return None
    return {
        "id": found.record.id,
        "status": found.record.status,
        "goal": found.record.goal,
        "trusted": sorted(found.record.trusted),
        "presented": sorted(found.record.presented),
    }


def _held(secret: Object, found: Found) -> str:
    try:
        leaf, bundle = read_chain(value(secret, CRT))[0], read_chain(value(secret, CA))
    except CertificateError as exc:
        return str(exc)
    assert found.now is not None
    names = ", ".join(leaf.names)
    cas = ", ".join(f"…{ca.serial[-8:]}" for ca in bundle)
    end = f"{leaf.not_after:%Y-%m-%d}, {days(leaf.remaining(found.now))}"
    return f"{leaf.key_type}, ends {end}; CA {cas}; {names}"


def _held_data(secret: Object) -> Object:
    try:
        leaf, bundle = read_chain(value(secret, CRT))[0], read_chain(value(secret, CA))
    except CertificateError as exc:
        return {"fault": str(exc)}
    return {
        "serial": leaf.serial,
        "keyType": leaf.key_type,
        "names": list(leaf.names),
        "notAfter": leaf.not_after.isoformat(),
        "authorities": [ca.serial for ca in bundle],
    }


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")
