"""Rows 27 and 30: what a server leaves on disk and in its log when it is asked for everything."""

import json
import stat
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

from protocol.derive import direct_id
from protocol.errors import ErrorCode
from protocol.header import PLAIN
from protocol.messages.messaging import Event, Send, Sent
from protocol.messages.session import Error, Hello, Welcome
from protocol.ops import Op
from tests.hostile.attacker import packed, raw_frame
from tests.server_process import OPEN_LIMITS, ServerProcess
from tests.wire.caller import Caller
from tests.wire.identity import Credential, register, secret_of

CANARY = b"canary-that-must-never-be-written-7c1f"
FORGED = '\r\n{"level": "info", "event": "login", "user": "root"}\x1b[31m'
SETTINGS = {**OPEN_LIMITS, "log.level": "debug"}


def spellings(secret: bytes) -> set[bytes]:
    """Return a secret as it might be written: raw, in hex, in either base64."""
    return {secret, secret.hex().encode(), b64encode(secret), urlsafe_b64encode(secret)}


def test_log_holds_no_secret_of_any_client(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, settings=SETTINGS) as server:
        credential, token = Credential("romeo"), b"canary-token-7c1"
        with Caller(server.port) as juliet, Caller(server.port) as romeo:
            juliet.register(Credential("juliet"))
            juliet.sync()
            romeo.hello()
            request = register(2, credential, token=token, secret=secret_of("romeo"))
            romeo.send(request)
            said = romeo.receive()
            assert isinstance(said, Error)
            assert said.code == ErrorCode.INVITE_INVALID
            with Caller(server.port) as first:
                first.register(credential, password=True)
            with Caller(server.port) as second:
                device = Credential("romeo")
                second.enrol(device)
                cid = direct_id("romeo", "juliet")
                second.call(Send(9, cid, 1, bytes(16), PLAIN, CANARY, "juliet"), Sent)
                assert juliet.expect(Event).entry.body == CANARY
                second.socket.sendall(packed(Op.SEND, 9, cid, -1, bytes(16), PLAIN, CANARY))
                second.receive()
            with Caller(server.port) as broken:
                broken.socket.sendall(raw_frame(Op.HELLO, CANARY))
                broken.receive()
        server.stop()
        log = server.log_text().encode()
    assert b"login" in log
    secrets = [CANARY, token, secret_of("romeo").encode(), request.salt, request.stored_key]
    for secret in [*secrets, request.server_key]:
        for spelling in spellings(secret):
            assert spelling not in log


def test_log_keeps_one_record_a_line_whatever_clients_call_themselves(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, settings=SETTINGS) as server:
        with Caller(server.port) as caller:
            caller.call(Hello(1, FORGED[:60], ()), Welcome)
            caller.send(register(1, Credential(FORGED[:60])))
            assert isinstance(caller.receive(), Error)
        with Caller(server.port) as caller:
            caller.hello()
            caller.send(register(1, Credential("iago"), device_name=FORGED[:60]))
            caller.receive()
        server.stop()
        lines = server.log_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert all("event" in record for record in records)
    assert "root" not in {record.get("user") for record in records}
    assert "\x1b" not in "".join(lines)


def test_data_folder_is_private_after_use(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, settings=SETTINGS) as server:
        with Caller(server.port) as caller:
            caller.register(Credential("romeo"))
        folder = tmp_path / "data"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "chatd.db" in modes
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
