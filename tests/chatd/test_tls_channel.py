"""TLS over bytes: any split, bounded pieces, and a peer that speaks something else."""

import ssl
from pathlib import Path

import pytest

from chatd.certificate import ensure_self_signed
from chatd.tls import TlsContexts
from chatd.tls_channel import RECORD_BYTES, TlsChannel, TlsFailed
from tests.chatd.conftest import SeededWorld

INTO = memoryview(bytearray(RECORD_BYTES))


class Juliet:
    """A client's end, over bytes as well."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing)

    def shakes_hands(self, channel: TlsChannel, piece_bytes: int) -> None:
        while not channel.open or self.outgoing.pending:
            try:
                self.object.do_handshake()
            except ssl.SSLWantReadError:
                pass
            data = self.outgoing.read()
            for start in range(0, len(data), piece_bytes):
                channel.feed(memoryview(data[start : start + piece_bytes]))
            self.incoming.write(channel.take())


@pytest.fixture
def channel(tmp_path: Path) -> TlsChannel:
    path = ensure_self_signed(tmp_path, "a.example", SeededWorld(1))
    return TlsChannel(TlsContexts(path, None, "1.3").context)


def read_all(channel: TlsChannel) -> bytes:
    out = b""
    while count := channel.read(INTO):
        out += INTO[:count]
    return out


@pytest.mark.parametrize("piece_bytes", [1, 7, RECORD_BYTES])
def test_channel_gives_the_same_bytes_for_any_split(channel: TlsChannel, piece_bytes: int) -> None:
    juliet = Juliet()
    juliet.shakes_hands(channel, piece_bytes)
    sent = bytes(range(256)) * 150  # more than two records
    juliet.object.write(sent)
    data = juliet.outgoing.read()
    got = b""
    for start in range(0, len(data), piece_bytes):
        channel.feed(memoryview(data[start : start + piece_bytes]))
        got += read_all(channel)
    assert got == sent


@pytest.mark.parametrize("size", [1, RECORD_BYTES, RECORD_BYTES + 1, 3 * RECORD_BYTES + 5])
def test_channel_encrypts_what_the_client_reads(channel: TlsChannel, size: int) -> None:
    juliet = Juliet()
    juliet.shakes_hands(channel, RECORD_BYTES)
    sent = b"x" * size
    juliet.incoming.write(channel.encrypt(sent))
    got = b""
    while len(got) < size:
        got += juliet.object.read(RECORD_BYTES)
    assert got == sent


def test_channel_fails_with_an_alert_when_the_peer_speaks_plaintext(channel: TlsChannel) -> None:
    with pytest.raises(TlsFailed):
        channel.feed(memoryview(b"\0\0\0\x05\x01hello, this is not TLS at all"))
    assert not channel.open


def test_channel_fails_when_a_record_was_tampered_with(channel: TlsChannel) -> None:
    juliet = Juliet()
    juliet.shakes_hands(channel, RECORD_BYTES)
    juliet.object.write(b"hello")
    data = bytearray(juliet.outgoing.read())
    data[-1] ^= 1
    channel.feed(memoryview(data))
    with pytest.raises(TlsFailed):
        channel.read(INTO)


def test_channel_ends_when_the_peer_closes(channel: TlsChannel) -> None:
    juliet = Juliet()
    juliet.shakes_hands(channel, RECORD_BYTES)
    with pytest.raises(ssl.SSLWantReadError):
        juliet.object.unwrap()
    channel.feed(memoryview(juliet.outgoing.read()))
    with pytest.raises(TlsFailed):
        channel.read(INTO)
    assert channel.shut()  # our own alert


def test_channel_shuts_without_a_word_before_the_handshake(channel: TlsChannel) -> None:
    assert channel.shut() == b""
