"""Opening, keeping and closing a connection; registration and login."""

from typing import Annotated

from protocol import limits
from protocol.declare import Message, message
from protocol.fields import (
    U16,
    U32,
    U53,
    Bool,
    DeviceName,
    DeviceNumber,
    Hash,
    Key,
    ListOf,
    OptionalRequestId,
    OptionalScramMessage,
    OptionalToken,
    RequestId,
    Salt,
    ScramMessage,
    ServerId,
    Signature,
    Text,
    User,
)
from protocol.ops import Op, Role

Software = Annotated[str, Text(0, limits.MAX_SOFTWARE_BYTES)]
Features = Annotated[
    tuple[str, ...], ListOf(Text(1, limits.MAX_FEATURE_BYTES), limits.MAX_FEATURES)
]


@message(Op.HELLO, Role.CLIENT)
class Hello(Message):
    """The first frame of a connection. LOGIN and SYNC may follow in the same flight."""

    version: U16  # the protocol's version: 1
    software: Software  # for logs alone
    features: Features  # what the client can do beyond version 1; unknown ones are ignored


@message(Op.WELCOME, Role.SERVER)
class Welcome(Message):
    """The server's HELLO: who it is, signed over the key that TLS shows. Verify before trusting."""

    version: U16  # the one that HELLO named
    software: Software  # for logs alone
    features: Features  # the client's features that the server has too
    server_id: ServerId  # random, for life
    server_key: Key  # Ed25519, long-lived; the one in the invite link
    tls_key_hash: Hash  # SHA-256 of the certificate's SubjectPublicKeyInfo; zeros without TLS
    not_before_s: U53  # Unix seconds between which the signature holds
    not_after_s: U53
    signature: Signature  # by server_key; see "Server identity"
    keepalive_ms: U32  # the client sends at least one frame in any such time


@message(Op.REGISTER, Role.CLIENT)
class Register(Message):
    """Make an account and its first device. Answer: ACCEPTED."""

    request: RequestId
    user: User  # prepared by PRECIS UsernameCaseMapped (RFC 8265)
    token: OptionalToken  # of an invite or a reset; nil where registration is open
    salt: Salt  # of the SCRAM verifier
    stored_key: Key  # RFC 5802 StoredKey over the stretched password, 4,096 iterations
    server_key: Key  # RFC 5802 ServerKey
    device_name: DeviceName
    login_key: Key  # Ed25519, used for logins and nothing else
    signing_key: Key  # Ed25519, for statements


@message(Op.SCRAM_FIRST, Role.CLIENT)
class ScramFirst(Message):
    """Begin to enrol a new device by password. Answer: SCRAM_CHALLENGE."""

    request: RequestId
    message: ScramMessage  # client-first-message of RFC 5802


@message(Op.SCRAM_CHALLENGE, Role.SERVER)
class ScramChallenge(Message):
    """The answer to SCRAM_FIRST and to PROVE."""

    request: RequestId
    message: ScramMessage  # server-first-message


@message(Op.SCRAM_FINAL, Role.CLIENT)
class ScramFinal(Message):
    """Prove the password and enrol this device. Answer: ACCEPTED."""

    request: RequestId
    message: ScramMessage  # client-final-message
    device_name: DeviceName
    login_key: Key  # as in REGISTER
    signing_key: Key  # as in REGISTER


@message(Op.LOGIN, Role.CLIENT)
class Login(Message):
    """Log an enrolled device in. Answer: ACCEPTED. Frames of the session may follow at once."""

    request: RequestId
    user: User
    device: DeviceNumber  # as ACCEPTED once gave it
    counter: U53  # above every earlier one of this device; persisted before it is used
    signature: Signature  # by the login key, see "Login by key"


@message(Op.ACCEPTED, Role.SERVER)
class Accepted(Message):
    """The login holds, and is on disk."""

    request: RequestId
    user: User
    device: DeviceNumber  # a new one behind REGISTER and SCRAM_FINAL
    scram: OptionalScramMessage  # server-final-message, behind SCRAM_FINAL alone


@message(Op.PING, Role.CLIENT)
class Ping(Message):
    """Keep-alive: send one when nothing else was sent for ``keepalive_ms``. Answer: PONG."""

    nonce: U32  # any; comes back in PONG


@message(Op.PONG, Role.SERVER)
class Pong(Message):
    """The answer to PING."""

    nonce: U32


@message(Op.BYE, Role.CLIENT)
class Bye(Message):
    """The client leaves. The server closes."""


@message(Op.GOAWAY, Role.SERVER)
class GoAway(Message):
    """The server will close this connection: for good, or until a reconnect."""

    code: U16  # an error code: draining, session replaced, device revoked, account closed …
    reconnect_after_ms: U32  # meaningful when the code is retryable


@message(Op.OK, Role.SERVER)
class Ok(Message):
    """A request without a result was done, and is on disk."""

    request: RequestId


@message(Op.ERROR, Role.SERVER)
class Error(Message):
    """A request was refused; or, without a request id, the connection is about to close."""

    request: OptionalRequestId  # nil: it is about the connection
    code: U16  # see the table of errors; treat an unknown one by its flag
    text: Annotated[str, Text(0, limits.MAX_ERROR_TEXT_BYTES)]  # generic
    retryable: Bool
    retry_after_ms: U32  # 0 when there is no advice
