"""Registration, enrolment by password, and what a user does to the own account."""

from hashlib import sha256
from typing import Final

from chatd.committer import Committer
from chatd.hub import Hub, network_of
from chatd.identity import Identity
from chatd.log import get
from chatd.names import valid_name, valid_user_name
from chatd.passwords import Exchange, ProofFailed
from chatd.readers import Readers
from chatd.refusals import error_code
from chatd.services.sessions import Sessions
from chatd.session import Session
from chatd.settings import Accounts as Policy
from chatd.transport import Peer
from protocol import limits
from protocol.errors import ErrorCode
from protocol.messages.account import (
    ChangePassword,
    CreateInvite,
    DeleteAccount,
    GetProfile,
    Invite,
    Profile,
    Prove,
    Proved,
    SetDisplayName,
)
from protocol.messages.session import Ok, Register, ScramChallenge, ScramFinal, ScramFirst
from storage.commands import (
    Command,
    CreateToken,
    Enrol,
    Enrolled,
    Enrolment,
    Refused,
    ReplaceVerifier,
    Revoked,
    SetUserState,
)
from storage.commands import Register as RegisterCommand
from storage.commands import SetDisplayName as DisplayNameCommand
from storage.types import UserState, Verifier

log = get(__name__)

MOST_OPEN_INVITES: Final = 10
"""Open invites of one user: enough for a family, too few to grow a crowd unseen."""
_NONCE_BYTES: Final = 24


class Accounts:
    """Handles REGISTER, SCRAM and the requests about the own account."""

    def __init__(
        self,
        hub: Hub,
        committer: Committer,
        readers: Readers,
        sessions: Sessions,
        identity: Identity,
        policy: Policy,
    ) -> None:
        self._hub = hub
        self._environment = hub.environment
        self._committer = committer
        self._readers = readers
        self._sessions = sessions
        self._identity = identity
        self._policy = policy
        hub.on(Register, self._on_register)
        hub.on(ScramFirst, self._on_scram_first)
        hub.on(ScramFinal, self._on_scram_final)
        hub.on(Prove, self._on_prove)
        hub.on(ChangePassword, self._on_change_password)
        hub.on(DeleteAccount, self._on_delete_account)
        hub.on(GetProfile, self._on_get_profile)
        hub.on(SetDisplayName, self._on_set_display_name)
        hub.on(CreateInvite, self._on_create_invite)

    def _on_register(self, peer: Peer, message: Register) -> None:
        refuse = self._sessions.refuse
        if not (valid_user_name(message.user) and valid_name(message.device_name)):
            refuse(peer, message.request, ErrorCode.NAME_INVALID)
            return
        if self._policy.registration == "closed" and message.token is None:
            refuse(peer, message.request, ErrorCode.REGISTRATION_CLOSED)
            return
        if message.token is None and self._policy.registration == "invite":
            refuse(peer, message.request, ErrorCode.INVITE_INVALID)
            return
        if self._sessions.delayed(peer, message.request, message.user):
            return

        def done(result: Enrolled | Refused) -> None:
            if type(result) is Enrolled:
                self._sessions.open(peer, message.request, result.device, None)
                return
            assert type(result) is Refused
            code = error_code(result.reason)
            if code is ErrorCode.INVITE_INVALID:
                # Guessing tokens costs as much as guessing passwords.
                self._sessions.delays.failed(network_of(peer.address), message.user)
            refuse(peer, message.request, code)

        self._committer.submit(
            RegisterCommand(
                message.user,
                message.user,
                None if message.token is None else sha256(message.token).digest(),
                self._policy.registration == "open",
                Verifier(message.salt, message.stored_key, message.server_key),
                Enrolment(message.device_name, message.login_key, message.signing_key),
                self._max_devices,
                # Closed: reset tokens still work, new accounts find no place.
                0 if self._policy.registration == "closed" else self._policy.max_users,
            ),
            done,
        )

    @property
    def _max_devices(self) -> int:
        return min(self._policy.max_devices, limits.MAX_DEVICES)

    def _exchange(self, peer: Peer) -> Exchange:
        binding = peer.certificate.end_point_hash if peer.certificate else None
        nonce = self._environment.token_bytes(_NONCE_BYTES)
        return Exchange(self._identity.server_secret, binding, nonce)

    def _on_scram_first(self, peer: Peer, message: ScramFirst) -> None:
        exchange = self._exchange(peer)

        async def work() -> None:
            try:
                challenge = await self._readers.run(
                    lambda reader: exchange.first(message.message, reader.verifier)
                )
            except ProofFailed:
                self._sessions.fail(peer, message.request, exchange.user)
                return
            if peer.closing or self._sessions.delayed(peer, message.request, exchange.user):
                return
            peer.login = exchange
            peer.send(ScramChallenge(message.request, challenge))
            peer.release()

        self._hub.run(peer, message.request, work())

    def _on_scram_final(self, peer: Peer, message: ScramFinal) -> None:
        exchange, peer.login = peer.login, None
        if not isinstance(exchange, Exchange):
            self._sessions.refuse(peer, message.request, ErrorCode.AUTHENTICATION_FAILED)
            return
        if not valid_name(message.device_name):
            self._sessions.refuse(peer, message.request, ErrorCode.NAME_INVALID)
            return
        # Asked again: guesses that were begun at once must not all be checked.
        if self._sessions.delayed(peer, message.request, exchange.user):
            return
        try:
            answer = exchange.final(message.message)
        except ProofFailed:
            self._sessions.fail(peer, message.request, exchange.user)
            return
        assert exchange.verifier is not None

        def done(result: Enrolled | Refused) -> None:
            if type(result) is Enrolled:
                self._sessions.open(peer, message.request, result.device, answer)
            else:
                assert type(result) is Refused
                self._sessions.refuse(peer, message.request, error_code(result.reason))

        enrolment = Enrolment(message.device_name, message.login_key, message.signing_key)
        self._committer.submit(
            Enrol(exchange.user, exchange.verifier, enrolment, self._max_devices), done
        )

    def _on_prove(self, peer: Peer, message: Prove) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return
        exchange = self._exchange(peer)
        session.proof = None

        async def work() -> None:
            try:
                challenge = await self._readers.run(
                    lambda reader: exchange.first(message.message, reader.verifier)
                )
            except ProofFailed:
                peer.error(message.request, ErrorCode.AUTHENTICATION_FAILED)
                return
            name = session.device.user.name
            wait_ms = self._sessions.delays.wait_ms(network_of(peer.address), name)
            if exchange.user != name:
                peer.error(message.request, ErrorCode.AUTHENTICATION_FAILED)
            elif wait_ms:
                peer.error(message.request, ErrorCode.LOGIN_DELAYED, wait_ms)
            else:
                session.proof = exchange
                peer.reply(ScramChallenge(message.request, challenge))

        self._hub.run(peer, message.request, work())

    def _proven(
        self, peer: Peer, session: Session, message: ChangePassword | DeleteAccount
    ) -> tuple[Verifier, bytes] | None:
        """Return the verifier that was proven and the server's answer, or refuse the request."""
        exchange, session.proof = session.proof, None
        network, name = network_of(peer.address), session.device.user.name
        wait_ms = self._sessions.delays.wait_ms(network, name)
        if wait_ms:
            peer.error(message.request, ErrorCode.LOGIN_DELAYED, wait_ms)
            return None
        if isinstance(exchange, Exchange):
            try:
                answer = exchange.final(message.message)
            except ProofFailed:
                self._sessions.delays.failed(network, name)
            else:
                assert exchange.verifier is not None
                return exchange.verifier, answer
        peer.error(message.request, ErrorCode.AUTHENTICATION_FAILED)
        return None

    def _on_change_password(self, peer: Peer, message: ChangePassword) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        proven = session and self._proven(peer, session, message)
        if not session or not proven:
            return
        old, answer = proven
        new = Verifier(message.salt, message.stored_key, message.server_key)

        async def work() -> None:
            result = await self._committer.run(ReplaceVerifier(session.device.user.name, old, new))
            if type(result) is Refused:
                peer.error(message.request, error_code(result.reason))
            else:
                peer.reply(Proved(message.request, answer))

        self._hub.run(peer, message.request, work())

    def _on_delete_account(self, peer: Peer, message: DeleteAccount) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        proven = session and self._proven(peer, session, message)
        if not session or not proven:
            return
        answer = proven[1]

        async def work() -> None:
            command = SetUserState(session.device.user.name, UserState.DELETED)
            result = await self._committer.run(command)
            if type(result) is Revoked:
                peer.reply(Proved(message.request, answer))
                self._hub.cut(result.device_ids, ErrorCode.ACCOUNT_CLOSED)
            else:
                assert type(result) is Refused
                peer.error(message.request, error_code(result.reason))

        self._hub.run(peer, message.request, work())

    def _on_get_profile(self, peer: Peer, message: GetProfile) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return
        wait_ms = self._hub.look_up(session)
        if wait_ms:
            peer.error(message.request, ErrorCode.RATE_LIMITED, wait_ms)
            return

        def done(display_name: str | None) -> None:
            if display_name is None:
                peer.error(message.request, ErrorCode.NOT_FOUND)
            else:
                peer.reply(Profile(message.request, message.user, display_name))

        self._readers.submit(
            lambda reader: reader.display_name(message.user),
            done,
            lambda: peer.error(message.request, ErrorCode.INTERNAL),
        )

    def _on_set_display_name(self, peer: Peer, message: SetDisplayName) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return
        if not valid_name(message.display_name):
            peer.error(message.request, ErrorCode.NAME_INVALID)
            return
        command = DisplayNameCommand(session.device.user.name, message.display_name)
        self._hub.run(peer, message.request, self._simply(peer, message.request, command))

    def _on_create_invite(self, peer: Peer, message: CreateInvite) -> None:
        session = self._hub.begin(peer, message.request, self._hub.requests)
        if session is None:
            return
        if not self._policy.user_invites or self._policy.registration == "closed":
            peer.error(message.request, ErrorCode.NOT_ALLOWED)
            return
        token = self._environment.token_bytes(limits.TOKEN_BYTES)
        expires_ms = self._environment.now_ms() + message.expires_in_ms
        command = CreateToken(
            sha256(token).digest(),
            session.device.user.name,
            reset=False,
            uses=message.uses,
            expires_ms=expires_ms,
            max_open=MOST_OPEN_INVITES,
        )

        async def work() -> None:
            result = await self._committer.run(command)
            if type(result) is Refused:
                peer.error(message.request, error_code(result.reason))
            else:
                peer.reply(Invite(message.request, token, message.uses, expires_ms))

        self._hub.run(peer, message.request, work())

    async def _simply(self, peer: Peer, request: int, command: Command) -> None:
        result = await self._committer.run(command)
        if type(result) is Refused:
            peer.error(request, error_code(result.reason))
        else:
            peer.reply(Ok(request))
