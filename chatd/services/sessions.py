"""HELLO, logins by key, and which device is connected where."""

from functools import partial
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chatd.committer import Committer
from chatd.hub import RECONNECT_MS, Hub, network_of
from chatd.identity import Identity
from chatd.log import get
from chatd.names import valid_name
from chatd.ratelimit import LoginDelays
from chatd.readers import Readers
from chatd.refusals import error_code
from chatd.session import Session
from chatd.transport import Peer
from protocol.codec import encode
from protocol.derive import ZERO_HASH, login_text, welcome_text
from protocol.errors import ERRORS, ErrorCode
from protocol.messages.account import Device as Listed
from protocol.messages.account import DeviceList, ListDevices, RenameDevice, RevokeDevice
from protocol.messages.session import (
    Accepted,
    Bye,
    Error,
    Hello,
    Login,
    Ok,
    Ping,
    Pong,
    Welcome,
)
from protocol.ops import Op
from storage.commands import Command, LoggedIn, Refused, Revoked
from storage.commands import Login as LoginCommand
from storage.commands import RenameDevice as RenameCommand
from storage.commands import RevokeDevice as RevokeCommand
from storage.state import Device
from storage.types import DeviceInfo

log = get(__name__)

VERSION: Final = 1
SOFTWARE: Final = "chatd/0.1"
_DAY_S: Final = 86_400
_VALID_S: Final = 7 * _DAY_S
"""How long a signature over the TLS key holds: a stolen TLS key is of use no longer than this."""
_RENEW_S: Final = 3_600
_NOBODY: Final = bytes.fromhex(
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032 §7.1, test 1
)
"""What the signature of an unknown device is checked with, so that it takes as long."""


class Sessions:
    """Handles HELLO, LOGIN, PING, BYE and devices; opens sessions for the accounts service."""

    def __init__(
        self, hub: Hub, committer: Committer, readers: Readers, identity: Identity
    ) -> None:
        self._hub = hub
        self._environment = hub.environment
        self._committer = committer
        self._readers = readers
        self._identity = identity
        self._public_key = identity.public_key
        self.delays = LoginDelays(hub.environment.monotonic_ms)
        self._welcomes: dict[bytes, tuple[int, bytes]] = {}
        """TLS key hash -> (when signed, the frame). One a certificate since start."""
        hub.on(Hello, self._on_hello)
        hub.on(Login, self._on_login)
        hub.on(Ping, self._on_ping)
        hub.on(Bye, self._on_bye)
        hub.on(ListDevices, self._on_list_devices)
        hub.on(RenameDevice, self._on_rename_device)
        hub.on(RevokeDevice, self._on_revoke_device)

    def open(self, peer: Peer, request: int, device: Device, scram: bytes | None) -> None:
        """A login holds: make the session, fence the device's older one, and answer."""
        if peer.closing:
            return
        self.delays.succeeded(network_of(peer.address), device.user.name)
        session = Session(peer, device)
        older = self._hub.registry.add(session)
        if older is not None:
            older.peer.go_away(ErrorCode.SESSION_REPLACED)
        self._hub.known(peer)
        peer.session, peer.login = session, None
        log.info("login", user=device.user.name, device=device.number)
        peer.send(Accepted(request, device.user.name, device.number, scram))
        if self._hub.draining:  # the login is stored, and told so
            peer.go_away(ErrorCode.DRAINING, RECONNECT_MS, close=False)
        peer.release()

    def refuse(self, peer: Peer, request: int, code: ErrorCode, retry_after_ms: int = 0) -> None:
        """A login failed: tell why, then close. One attempt a connection."""
        if peer.closing:
            return
        log.info("login_refused", address=peer.address, code=code.name)
        info = ERRORS[code]
        peer.send(Error(request, code, info.text, info.retryable, retry_after_ms))
        peer.close()

    def fail(self, peer: Peer, request: int, user: str) -> None:
        """A credential was wrong: the next try has to wait longer."""
        self.delays.failed(network_of(peer.address), user)
        self.refuse(peer, request, ErrorCode.AUTHENTICATION_FAILED)

    def delayed(self, peer: Peer, request: int, user: str) -> bool:
        """Whether a login has to wait; it was refused if so."""
        wait_ms = self.delays.wait_ms(network_of(peer.address), user)
        if wait_ms:
            self.refuse(peer, request, ErrorCode.LOGIN_DELAYED, wait_ms)
        return wait_ms > 0

    def _on_hello(self, peer: Peer, message: Hello) -> None:
        if message.version != VERSION:
            peer.refuse(ErrorCode.UNSUPPORTED_VERSION)
            return
        key_hash = peer.certificate.spki_hash if peer.certificate else ZERO_HASH
        peer.write(peer.connection.relay(Op.WELCOME, self._welcome(key_hash)))

    def _welcome(self, key_hash: bytes) -> bytes:
        now_s = self._environment.now_ms() // 1000
        signed_s, frame = self._welcomes.get(key_hash, (0, b""))
        if not 0 <= now_s - signed_s < _RENEW_S:
            begin_s, end_s = now_s - _DAY_S, now_s + _VALID_S
            text = welcome_text(self._identity.server_id, key_hash, begin_s, end_s)
            frame = encode(
                Welcome(
                    VERSION,
                    SOFTWARE,
                    (),
                    self._identity.server_id,
                    self._public_key,
                    key_hash,
                    begin_s,
                    end_s,
                    self._identity.sign(text),
                    self._hub.bounds.keepalive_ms,
                )
            )
            self._welcomes[key_hash] = (now_s, frame)
        return frame

    def _on_login(self, peer: Peer, message: Login) -> None:
        if self.delayed(peer, message.request, message.user):
            return
        self._readers.submit(
            lambda reader: reader.login_key(message.user, message.device),
            partial(self._verify, peer, message),
            lambda: peer.refuse(ErrorCode.INTERNAL),
        )

    def _verify(self, peer: Peer, message: Login, key: bytes | None) -> None:
        if peer.closing:
            return
        text = login_text(
            self._identity.server_id,
            peer.certificate.end_point_hash if peer.certificate else ZERO_HASH,
            message.user,
            message.device,
            message.counter,
        )
        try:
            Ed25519PublicKey.from_public_bytes(key or _NOBODY).verify(message.signature, text)
        except (InvalidSignature, ValueError):
            key = None
        if key is None:
            self.fail(peer, message.request, message.user)
            return
        self._committer.submit(
            LoginCommand(message.user, message.device, message.counter),
            partial(self._logged_in, peer, message),
        )

    def _logged_in(self, peer: Peer, message: Login, result: LoggedIn | Refused) -> None:
        if type(result) is LoggedIn:
            self.open(peer, message.request, result.device, None)
        else:
            assert type(result) is Refused
            self.refuse(peer, message.request, error_code(result.reason))

    def _on_list_devices(self, peer: Peer, message: ListDevices) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return
        name = session.device.user.name

        def done(devices: list[DeviceInfo] | None) -> None:
            connected = self._hub.registry.of_device
            peer.reply(
                DeviceList(
                    message.request,
                    tuple(
                        [
                            Listed(
                                device.number,
                                device.name,
                                device.created_ms,
                                device.last_seen_ms,
                                connected(device.id) is not None,
                            )
                            for device in devices or []
                        ]
                    ),
                )
            )

        self._readers.submit(
            lambda reader: reader.devices(name),
            done,
            lambda: peer.error(message.request, ErrorCode.INTERNAL),
        )

    def _on_rename_device(self, peer: Peer, message: RenameDevice) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return
        if not valid_name(message.name):
            peer.error(message.request, ErrorCode.NAME_INVALID)
            return
        command = RenameCommand(session.device.user.name, message.number, message.name)
        self._hub.run(peer, message.request, self._answered(peer, message.request, command))

    def _on_revoke_device(self, peer: Peer, message: RevokeDevice) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return
        command = RevokeCommand(session.device.user.name, message.number)
        self._hub.run(peer, message.request, self._answered(peer, message.request, command))

    async def _answered(self, peer: Peer, request: int, command: Command) -> None:
        result = await self._committer.run(command)
        if type(result) is Refused:
            peer.error(request, error_code(result.reason))
            return
        peer.reply(Ok(request))
        if type(result) is Revoked:
            self._hub.cut(result.device_ids, ErrorCode.DEVICE_REVOKED)

    def _on_ping(self, peer: Peer, message: Ping) -> None:
        self._hub.throttle(peer)
        peer.send(Pong(message.nonce))

    def _on_bye(self, peer: Peer, _message: Bye) -> None:
        peer.close()
