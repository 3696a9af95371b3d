"""Starting, draining, reloading the certificate, and a proxy in the middle."""

import asyncio
import ssl
from pathlib import Path

import pytest

from chatd.certificate import ensure_self_signed
from chatd.errors import ListenError
from chatd.server import open_admin
from chatd.settings import Server as ServerSettings
from chatd.settings import Tls
from protocol.errors import ErrorCode
from protocol.messages import messaging, session
from storage.errors import StorageFailed
from tests.chatd.actor import Actor, expect, insecure_context, refused
from tests.chatd.conftest import SeededWorld
from tests.chatd.house import House, open_house, registration, scram_login

pytestmark = pytest.mark.asyncio


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


class Proxy:
    """A man in the middle with a valid certificate of his own."""

    def __init__(self, house: House, folder: Path) -> None:
        folder.mkdir()
        pem = ensure_self_signed(folder, "chat.example", SeededWorld())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._house = house
        self._tasks: list[asyncio.Task[None]] = []
        self.port = 0

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(
            "127.0.0.1", self._house.server.ports[0], ssl=insecure_context()
        )
        self._tasks += [
            asyncio.create_task(relay(reader, inner_writer)),
            asyncio.create_task(relay(inner_reader, writer)),
        ]


async def test_proxy_with_another_certificate_gets_nobody_in(house: House, tmp_path: Path) -> None:
    """threats.md class 22."""
    romeo = await house.arrives("romeo")
    async with Proxy(house, tmp_path / "proxy") as proxy:
        victim = await house.stranger("romeo", port=proxy.port)
        victim.me = romeo.me
        victim.hello()
        assert refused(await victim.asks(house.login(victim))) is ErrorCode.AUTHENTICATION_FAILED
        assert victim.welcome is not None
        assert victim.certificate is not None
        assert victim.welcome.tls_key_hash != victim.certificate.spki_hash  # it shows at once

        victim = await house.stranger("romeo", port=proxy.port)
        victim.me.secret = romeo.me.secret
        victim.hello()
        assert refused(await scram_login(victim)) is ErrorCode.AUTHENTICATION_FAILED
    await romeo.ping()


async def test_certificate_is_replaced_under_live_connections(
    folder: Path, tmp_path: Path, world: SeededWorld, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    pem = ensure_self_signed(tmp_path / "first", "chat.example", world)
    other = ensure_self_signed(tmp_path / "second", "chat.example", world)
    async with open_house(folder, tls=Tls(str(pem), str(pem))) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        pem.write_bytes(other.read_bytes())
        house.server.reload()
        await romeo.says("juliet", "still here")
        await juliet.receives("still here")
        stale = await house.stranger("romeo")
        stale.me = romeo.me
        stale.hello()
        assert stale.binding != romeo.binding
        login = romeo.me.login(1, house.core.identity.server_id, romeo.binding)
        assert refused(await stale.asks(login)) is ErrorCode.AUTHENTICATION_FAILED
        phone = await house.enrols(romeo)
        assert phone.welcome is not None
        assert phone.certificate is not None
        assert phone.welcome.tls_key_hash == phone.certificate.spki_hash

        pem.write_bytes(b"not a certificate")
        house.server.reload()
        assert "certificate_refused" in caplog.text
        await house.returns(romeo)


async def test_reload_without_tls_does_nothing(folder: Path) -> None:
    async with open_house(folder, plaintext=True) as house:
        house.server.reload()
        await (await house.arrives("romeo")).ping()


async def test_drain_finishes_what_is_under_way_and_tells_clients(house: House) -> None:
    romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
    stranger = await house.stranger()
    stranger.hello()
    await house.core.idle()
    house.disk.hold()
    under_way = romeo.sends("juliet", "just in time")
    await romeo.ping()
    draining = asyncio.create_task(house.server.drain())
    assert expect(session.GoAway, await romeo.push()) == session.GoAway(ErrorCode.DRAINING, 1_000)
    late = romeo.sends("juliet", "too late")
    error = expect(session.Error, await romeo.answer(late))
    assert (error.code, error.retry_after_ms) == (ErrorCode.DRAINING, 1_000)
    await stranger.is_cut(ErrorCode.DRAINING)
    house.disk.release()
    assert (await romeo.sent(under_way)).seq == 1
    expect(session.GoAway, await juliet.push())
    await juliet.receives("just in time")
    await romeo.ends()
    await draining
    assert len(house.hub.peers) == 0
    with pytest.raises(ConnectionRefusedError):
        await house.stranger()


async def test_login_under_way_is_answered_when_the_server_drains(house: House) -> None:
    """An account that was made is not told that nothing was stored."""
    romeo = await house.arrives("romeo")
    token = await house.invite()
    await house.core.idle()
    house.disk.hold()
    romeo.sends("romeo", "keeps the writer busy")
    await romeo.ping()
    juliet = await house.stranger("juliet")
    juliet.hello()
    register = registration(juliet, token)
    juliet.tell(register)
    await house.queued(1)
    draining = asyncio.create_task(house.server.drain())
    expect(session.GoAway, await romeo.push())
    house.disk.release()
    expect(session.Accepted, await juliet.answer(register.request))
    assert (await juliet.is_sent_away()).code == ErrorCode.DRAINING
    await draining


async def test_connection_that_comes_with_the_drain_is_turned_away(house: House) -> None:
    house.hub.draining = True
    await house.turns_away()


async def test_drain_does_not_wait_for_clients_that_do_not_read(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ServerSettings(str(folder), ("127.0.0.1:0",), "chat.example:7222", drain_ms=0)
    async with open_house(folder, server=settings) as house:
        romeo = await house.arrives("romeo", receive_bytes=4_096)
        juliet = await house.arrives("juliet")
        slow = house.session(romeo)
        while not slow.behind:
            await juliet.says("romeo", b"x" * 60_000)
        await house.server.drain()
    for _ in range(20):  # what the loop has yet to call
        await asyncio.sleep(0)
    assert "storage_failed" not in caplog.text


async def test_drain_ends_at_once_when_storage_fails_meanwhile(house: House) -> None:
    romeo = await house.arrives("romeo")
    await house.core.idle()
    house.disk.hold()
    request = romeo.sends("romeo", "in doubt")
    await romeo.ping()
    draining = asyncio.create_task(house.server.drain())
    expect(session.GoAway, await romeo.push())
    house.disk.commit_errors.append(StorageFailed("the disk is gone"))
    house.disk.release()
    await draining
    await romeo.ends()
    assert not romeo.has_answer(request)


async def test_address_in_use_is_named(folder: Path, tmp_path: Path) -> None:
    async with open_house(folder) as house:
        port = house.server.ports[0]
        other = tmp_path / "other"
        settings = ServerSettings(str(other), (f"127.0.0.1:{port}",), "chat.example:7222")
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with open_house(other, server=settings):
                raise AssertionError("it must not start")


async def test_both_default_addresses_can_be_bound_at_once(folder: Path) -> None:
    settings = ServerSettings(str(folder), ("127.0.0.1:0", "[::1]:0"), "chat.example:7222")
    async with open_house(folder, server=settings) as house:
        romeo = await house.arrives("romeo")
        six = await Actor.connect(house.server.ports[1], romeo.me, host="::1")
        house.actors.append(six)
        six.hello()
        expect(session.Accepted, await six.asks(house.login(six)))


async def test_store_is_opened_for_commands_without_a_daemon(folder: Path) -> None:
    async with open_house(folder) as house:
        await house.arrives("romeo")
        config = house.core.config
    async with open_admin(config) as admin:
        assert [user.name for user in await admin.list_users()] == ["romeo"]
        await admin.revoke_device("romeo", 1)
        assert [device.revoked for device in await admin.list_devices("romeo")] == [True]


async def test_everything_survives_a_restart(folder: Path) -> None:
    async with open_house(folder) as house:
        romeo, juliet = await house.arrives("romeo"), await house.arrives("juliet")
        await romeo.says("juliet", "remember me")
        commit = (await juliet.syncs()).commit
        link = await house.admin.create_invite(1, None)
    async with open_house(folder) as house:
        juliet = await house.returns(juliet)
        assert [entry.body for entry in await juliet.log_of("romeo")] == [b"remember me"]
        assert (await juliet.syncs(commit)).heads == ()
        romeo = await house.returns(romeo)
        assert (await romeo.says("juliet", "and again", n=2)).seq == 2
        again = await house.admin.create_invite(1, None)
        assert again.rsplit(".", 1)[1][:60] == link.rsplit(".", 1)[1][:60]  # the same server
        expect(messaging.Event, await juliet.push())
