"""The networks of proxies before us: only from there is it believed for whom a request speaks."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


@dataclass(frozen=True, slots=True)
class TrustedNetworks:
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[str]) -> "TrustedNetworks":
        return cls(tuple(map(ip_network, networks)))

    def include(self, host: str) -> bool:
        """Whether the client at this address is one of them."""
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)
