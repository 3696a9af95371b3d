"""TLS contexts: strict, replaceable while serving, and able to tell which certificate was seen.

Each connection is served with the context that was current when it was accepted, and keeps it: its
`context` tells which certificate that very connection saw, so that channel bindings stay right
across a reload.
"""

import ssl
import stat
from pathlib import Path

from chatd.certificate import CertificateError, CertificateInfo

MINIMUM_VERSIONS = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}


class CertificateContext(ssl.SSLContext):
    """A server context that remembers the certificate it was loaded with."""

    info: CertificateInfo


class TlsContexts:
    """The context that new connections are served with, from files that may be read again."""

    def __init__(self, certificate: Path, key: Path | None, minimum_version: str) -> None:
        """Load the files.

        Args:
            certificate: PEM, leaf first, the chain behind it.
            key: PEM private key, not encrypted; None if it is in `certificate`.
            minimum_version: "1.3" or "1.2".

        Raises:
            CertificateError: A file cannot be read or the two cannot serve TLS.
        """
        self._certificate, self._key = certificate, key
        self._minimum = MINIMUM_VERSIONS[minimum_version]
        self.context = self._load()
        """What new connections are served with."""

    @property
    def current(self) -> CertificateInfo:
        """The certificate that new connections see."""
        return self.context.info

    def reload(self) -> CertificateInfo:
        """Read the files again; connections from now on see the new certificate.

        Raises:
            CertificateError: The new files are bad. The old certificate goes on being served.
        """
        self.context = self._load()
        return self.context.info

    def _load(self) -> CertificateContext:
        context = CertificateContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._minimum
        # Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        context.options |= (
            ssl.OP_NO_COMPRESSION
            | ssl.OP_NO_RENEGOTIATION
            | ssl.OP_CIPHER_SERVER_PREFERENCE
            # A resumed session shows no certificate, and a login is bound to the one shown.
            | ssl.OP_NO_TICKET
        )
        context.num_tickets = 0
        _check_mode(self._key or self._certificate)
        named = f"{self._certificate}" + (f" with {self._key}" if self._key else "")
        try:
            context.load_cert_chain(self._certificate, self._key, password=_refuse_password)
        except FileNotFoundError as error:
            raise CertificateError(f"{named}: a file is missing") from error
        except ssl.SSLError as error:
            reason = (
                "the key is not the certificate's"
                if error.reason == "KEY_VALUES_MISMATCH"
                else f"no usable PEM certificate and key in it ({error.reason or 'unreadable'})"
            )
            raise CertificateError(f"{named}: {reason}") from error
        except OSError as error:
            raise CertificateError(f"{named}: cannot be read: {error.strerror}") from error
        context.info = CertificateInfo.of(_shown_certificate(context, named))
        return context


def context_info(context: ssl.SSLContext) -> CertificateInfo:
    """The certificate of a connection, from its `ssl_object.context` after the handshake.

    Raises:
        TypeError: The context is not one of `TlsContexts`.
    """
    if not isinstance(context, CertificateContext):
        raise TypeError("this connection was not accepted with a context of TlsContexts")
    return context.info


def _refuse_password() -> str:
    # Without this OpenSSL would ask on the terminal and stop the daemon there.
    raise CertificateError("the private key is encrypted; store it decrypted, mode 0600")


def _check_mode(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CertificateError(f"{path}: cannot be read: {error.strerror}") from error
    if stat.S_ISREG(mode) and mode & 0o007:
        raise CertificateError(f"{path}: everybody can read this private key; chmod 0600 it")


def _shown_certificate(context: ssl.SSLContext, named: str) -> bytes:
    """The DER certificate that a client gets, by a handshake in memory.

    Reading the file a second time could read another file than OpenSSL did; and a context that
    cannot finish a handshake is refused here rather than at every connection.
    """
    peer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    peer.check_hostname = False
    # Not a connection: the two ends are this function, and what is wanted is the certificate.
    peer.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = peer.wrap_bio(to_client, to_server)
    pending = [client, server]
    # Each turn moves one flight; TLS 1.2 has four, TLS 1.3 three.
    for _ in range(8):
        for end in list(pending):
            try:
                end.do_handshake()
                pending.remove(end)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                reason = error.reason or "refused"
                raise CertificateError(f"{named}: no TLS handshake with it: {reason}") from error
    der = client.getpeercert(binary_form=True)
    if pending or der is None:
        raise CertificateError(f"{named}: no TLS handshake with it")
    return der
