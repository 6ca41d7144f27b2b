"""Every rule, in order of code, and the codes that are no more.

Adding a rule is one line here: `"family.module",`. Modules are imported when the registry is used.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from egops.rules.upgrade.modules import UPGRADE_MODULES

if TYPE_CHECKING:
    from egops.rules import Rule

DOCTOR_MODULES: tuple[str, ...] = (
    "install.control_plane_unavailable",
    "install.control_plane_secrets_missing",
    "install.control_plane_configuration_invalid",
    "install.release_has_known_defect",
    "install.security_fix_missing",
    "crd.crd_version_missing",
    "crd.bundle_version_mismatch",
    "crd.stored_version_not_served",
    "crd.crd_not_established",
    "crd.crd_installed_after_start",
    "controlplane.control_plane_crashing",
    "controlplane.control_plane_panicking",
    "controlplane.configuration_frozen",
    "controlplane.leader_lease_stale",
    "controlplane.status_behind",
    "controlplane.infrastructure_apply_failing",
    "controlplane.control_plane_service_empty",
    "gateway.gateway_class_missing",
    "gateway.gateway_class_not_accepted",
    "gateway.gateway_class_not_found",
    "gateway.gateway_not_accepted",
    "gateway.listeners_not_valid",
    "gateway.proxies_unavailable",
    "gateway.address_not_assigned",
    "gateway.gateway_address_stale",
    "gateway.listener_conflict",
    "gateway.listener_refs_not_resolved",
    "gateway.certificate_partly_invalid",
    "gateway.overlapping_tls_listeners",
    "gateway.gateway_without_fleet",
    "gateway.waiting_for_controller",
    "route.route_not_accepted",
    "route.backend_ref_not_resolved",
    "route.backends_unavailable",
    "route.route_without_status",
    "route.parent_not_found",
    "route.route_filter_broken",
    "route.overlapping_matches",
    "route.all_weights_zero",
    "route.mixed_backends_fail_rule",
    "route.regex_not_re2",
    "route.https_redirect_loop",
    "route.route_never_reached",
    "backend.service_without_endpoints",
    "backend.port_name_mismatch",
    "backend.external_name_backend",
    "backend.backend_invalid",
    "backend.tls_port_without_tls",
    "backend.stale_endpoints",
    "backend.all_hosts_unhealthy",
    "policy.policy_invalid",
    "policy.policy_target_not_found",
    "policy.policy_overridden",
    "policy.policy_conflicted",
    "policy.envoy_patch_not_applied",
    "policy.client_tls_without_tls_listener",
    "policy.credentials_rejected",
    "policy.security_policy_on_l4",
    "tls.listener_secret_not_found",
    "tls.listener_certificate_broken",
    "tls.listener_certificate_expiring",
    "tls.certificate_hostname_mismatch",
    "tls.certificate_ref_not_permitted",
    "tls.secret_rejected",
    "tls.stale_certificate_served",
    "tls.control_plane_certificate_expiring",
    "tls.control_plane_trust_broken",
    "tls.control_plane_name_mismatch",
    "tls.control_plane_serves_stale_certificate",
    "tls.rate_limit_trust_stale",
    "tls.webhook_ca_mismatch",
    "tls.backend_ca_not_found",
    "tls.client_ca_expired",
    "tls.backend_certificate_rejected",
    "tls.certificate_not_renewing",
    "tls.client_certificate_missing",
    "tls.certificate_not_yet_valid",
    "tls.control_plane_authorities_differ",
    "tls.certificate_name_malformed",
    "tls.certificate_purpose_wrong",
    "tls.certificate_weak",
    "tls.trust_transition_unfinished",
    "tls.rate_limit_serves_stale_certificate",
    "tls.proxy_holds_stale_certificate",
    "tls.proxy_holds_stale_authority",
    "tls.proxy_config_map_stale",
    "tls.oidc_hmac_short",
    "tls.control_plane_secret_immutable",
    "tls.control_plane_secret_owned",
    "tls.certgen_overwrites",
    "tls.control_plane_peer_rejected",
    "tls.given_certificate_expiring",
    "xds.proxy_disconnected",
    "xds.configuration_rejected",
    "xds.listener_warming",
    "xds.cluster_warming",
    "xds.proxies_disagree",
    "xds.listener_not_served",
    "xds.route_not_served",
    "xds.proxy_not_ready",
    "xds.proxy_version_mismatch",
    "xds.proxy_not_live",
    "xds.proxy_draining",
    "xds.proxy_admin_unreachable",
    "traffic.requests_without_route",
    "traffic.route_answers_500",
    "traffic.route_answers_503",
    "traffic.backend_connection_failing",
    "traffic.backend_tls_failing",
    "traffic.backend_without_healthy_host",
    "traffic.circuit_breaker_open",
    "traffic.request_timeout",
    "traffic.proxy_overloaded",
    "traffic.cluster_not_found",
    "ratelimit.rate_limit_not_enforced",
    "observability.error_budget_burning",
    "observability.control_plane_panicked",
    "observability.certificate_not_renewed",
)

# what only `egops certs check` asks: everybody's permissions, and a handshake with each listener of
# each proxy
CERTIFICATE_MODULES = (
    "tls.control_plane_keys_readable",
    "tls.listener_serves_other_certificate",
)
# of servers that the user names, as `egops certs check host:port` does
SERVER_MODULES = (
    "tls.server_handshake_failing",
    "tls.server_certificate_untrusted",
    "tls.server_name_mismatch",
    "tls.server_certificate_expiring",
)
# rules of other areas that `egops certs check` runs too: the control plane's Secrets, its xDS link
CERTIFICATE = frozenset({"EGD-101", "EGD-440"})
# what `egops upgrade verify` asks: two states of one installation are compared
AFTERMATH_MODULES: tuple[str, ...] = (
    "upgrade.unexplained_translation_difference",
    "upgrade.condition_lost",
    "upgrade.object_gone",
    "upgrade.request_changes_fate",
    "upgrade.release_not_reached",
    "upgrade.update_refused",
    "upgrade.response_flag_appeared",
    "upgrade.container_restarted",
)

RETIRED: frozenset[str] = frozenset()  # codes are never used again


@cache
def doctor_rules() -> tuple[Rule, ...]:
    """Return the rules of `egops doctor`, in order of code."""
    return _load(DOCTOR_MODULES)


@cache
def certificate_rules() -> tuple[Rule, ...]:
    """Return the rules of `egops certs check`: doctor's, of all that hangs on a certificate."""
    doctors = (rule for rule in doctor_rules() if rule.area == "tls" or rule.code in CERTIFICATE)
    return tuple(sorted((*doctors, *_load(CERTIFICATE_MODULES)), key=lambda rule: rule.code))


@cache
def server_rules() -> tuple[Rule, ...]:
    """Return the rules about servers that the user names, in order of code."""
    return _load(SERVER_MODULES)


@cache
def upgrade_rules() -> tuple[Rule, ...]:
    """Return the rules of `egops upgrade-check`, in order of code."""
    return _load(UPGRADE_MODULES)


@cache
def aftermath_rules() -> tuple[Rule, ...]:
    """Return the rules of `egops upgrade verify`, in order of code."""
    return _load(AFTERMATH_MODULES)


def all_rules() -> tuple[Rule, ...]:
    """Return every rule, in order of code."""
    own = _load((*CERTIFICATE_MODULES, *SERVER_MODULES))
    rules = (*doctor_rules(), *own, *upgrade_rules(), *aftermath_rules())
    return tuple(sorted(rules, key=lambda rule: rule.code))


def _load(modules: tuple[str, ...]) -> tuple[Rule, ...]:
    rules = []
    for path in modules:
        module = import_module(f"egops.rules.{path}")
        rules.append(getattr(module, path.rpartition(".")[2]))
    return tuple(sorted(rules, key=lambda rule: rule.code))
