"""How connections are secured: pinned (the default), by authority as well, or loopback plaintext.

Pinned: any certificate is accepted by TLS itself, and then only the one whose key the pinned server
has signed in WELCOME; see :func:`clients.sdk.identity.verify_welcome`. With ``ca``, the certificate
must hold for the host name too.
"""

import ipaddress
import ssl

from clients.sdk.account import Tls
from clients.sdk.errors import InvalidInput


def context(mode: Tls, host: str) -> ssl.SSLContext | None:
    """Return the TLS context for a connection to ``host``; None for plaintext.

    Raises:
        InvalidInput: Plaintext was asked for, and the host is not this machine.
    """
    if mode == "off":
        if not is_loopback(host):
            raise InvalidInput(f"{host} is not this machine: a connection without TLS is refused")
        return None
    if mode == "ca":
        made = ssl.create_default_context()
    else:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address of this machine's own, or its name ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
