"""The installation of Envoy Gateway under test."""

from dataclasses import dataclass

# what stories need beyond the chart's defaults; doctor must stay silent about both
VALUES = (
    "config.envoyGateway.extensionApis.enableEnvoyPatchPolicy=true",
    "config.envoyGateway.extensionApis.enableBackend=true",
)


@dataclass(frozen=True, slots=True)
class EnvoyGateway:
    """An Envoy Gateway that runs in the cluster, with the demo gateway."""

    version: str

    @property
    def minor(self) -> tuple[int, int]:
        """Return major and minor as numbers, to compare."""
        major, minor, _ = self.version.split(".")
        return int(major), int(minor)
