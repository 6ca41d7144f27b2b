"""Filters of routes that Envoy Gateway refuses: alone, or together in one rule.

`answers_500` and `not_accepted` are the problems that they make, for every release that took over
the refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egops.gatewayapi import (
    EG,
    GRPC_ROUTE,
    HTTP_ROUTE,
    HTTP_ROUTE_FILTER,
    Entry,
    object_ref,
    rules_of,
)
from egops.snapshot import SourceType, entries, items, section, text
from egops.upgrade.backends import Fault as BadBackend
from egops.upgrade.backends import fault_of
from egops.upgrade.change import change, patch, upgrade_of
from egops.upgrade.headers import refused
from egops.upgrade.releases import is_in_force
from egops.upgrade.world import world as world_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egops.finding import Problem
    from egops.snapshot import Path, Resource, Snapshot
    from egops.upgrade.world import Attachment, World

SINCE = ((1, 6, 6), (1, 7, 0))  # from when on such rules answer 500 or are not accepted


class Fault(NamedTuple):
    """One filter that is refused; `possible` says what would make it certain."""

    attachment: Attachment
    path: Path
    reason: str
    possible: str = ""


def answers_500(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield a problem for each invalid filter, unless the installed release refuses it as well."""
    if is_in_force(upgrade_of(snapshot).from_version, SINCE):
        return
    for found in invalid(world_of(snapshot)):
        yield change(
            snapshot,
            found.attachment.route.at(*found.path),
            f"the rule answers 500: {found.reason}",
            today="the rule is left out, other routes may take its requests",
            after="requests that match the rule get 500",
            keep=("correct the filter, or remove the rule",),
            verify="the route is Accepted=True and ResolvedRefs=True",
            possible=found.possible,
        )


def not_accepted(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield a problem for each mirror that clashes, unless the installed release refuses it."""
    if is_in_force(upgrade_of(snapshot).from_version, SINCE):
        return
    for found in clashing(world_of(snapshot)):
        yield change(
            snapshot,
            found.attachment.route.at(*found.path),
            f"a mirror makes the route Accepted=False: {found.reason}",
            today="the mirror is ignored, the rule redirects or answers",
            after="the route is not accepted, the rule does not work",
            keep=("remove the mirror, or put it into a rule of its own",),
            verify="the route is Accepted=True",
            fix_patch=patch(found.attachment.route, found.path),
        )


def invalid(world: World) -> Iterator[Fault]:
    """Yield the filters of attached HTTPRoutes and GRPCRoutes that can't be translated."""
    for attachment in world.routes(HTTP_ROUTE, GRPC_ROUTE):
        yield from _headers(world, attachment)
        for _, rule in rules_of(attachment.route):
            for index, body in items(rule.body, "filters"):
                path: Path = (*rule.path, "filters", index)
                if section(body, "extensionRef"):
                    yield from _extension(world, attachment, path, section(body, "extensionRef"))
                elif section(body, "requestMirror", "backendRef"):
                    yield from _mirror(world, attachment, path, body)


def _extension(world: World, attachment: Attachment, path: Path, ref: object) -> Iterator[Fault]:
    if text(ref, "group") != EG or text(ref, "kind") != HTTP_ROUTE_FILTER.name:
        return  # a filter of an extension server
    name, route = text(ref, "name"), attachment.route
    if world.snapshot.find(HTTP_ROUTE_FILTER, route.namespace, name) is not None:
        return
    here = f"HTTPRouteFilter {route.namespace}/{name}"
    is_known = world.snapshot.knows(HTTP_ROUTE_FILTER)
    if is_known or world.snapshot.source.type is not SourceType.CLUSTER:
        doubt = "" if is_known else f"certain if {here} is in no other file either"
        yield Fault(attachment, (*path, "extensionRef"), f"{here} does not exist", doubt)


def _headers(world: World, attachment: Attachment) -> Iterator[Fault]:
    """Yield what header filters of backendRefs can't do; those of rules are EGU-1826's."""
    if upgrade_of(world.snapshot).from_version < (1, 3, 2):
        return  # EGU-1316 and EGU-1336 tell what becomes of the filter
    found = refused(attachment.route, of_backends=True)
    if found is not None and attachment.route.kind == HTTP_ROUTE:
        yield Fault(attachment, *found)


def _mirror(world: World, attachment: Attachment, path: Path, body: object) -> Iterator[Fault]:
    if upgrade_of(world.snapshot).from_version < (1, 3):
        return  # EGU-1312 tells what becomes of a mirror that was skipped
    place = (*path, "requestMirror", "backendRef")
    mirror = section(body, "requestMirror", "backendRef")
    ref = object_ref(Entry(attachment.route, place, mirror))
    fault = fault_of(world, ref, attachment.route)
    if isinstance(fault, BadBackend):
        yield Fault(attachment, place, f"it mirrors to {ref}: {fault.reason}", fault.possible)


def clashing(world: World) -> Iterator[Fault]:
    """Yield the mirrors that stand in one rule with a redirect or a direct response."""
    for attachment in world.routes(HTTP_ROUTE, GRPC_ROUTE):
        for _, rule in rules_of(attachment.route):
            found = entries(rule.body, "filters")
            ends = any(_ends(world, attachment.route, entry) for entry in found)
            for index, body in items(rule.body, "filters"):
                if ends and section(body, "requestMirror"):
                    path = (*rule.path, "filters", index)
                    yield Fault(attachment, path, "the rule redirects or answers itself")


def _ends(world: World, route: Resource, entry: object) -> bool:
    if section(entry, "requestRedirect"):
        return True
    ref = section(entry, "extensionRef")
    name = text(ref, "name")
    if text(ref, "kind") != HTTP_ROUTE_FILTER.name or not name:
        return False
    found = world.snapshot.find(HTTP_ROUTE_FILTER, route.namespace, name)
    return found is not None and bool(section(found.spec, "directResponse"))
