"""The golden vectors in both directions, and that none is missing or stale."""

import msgpack
import pytest
from scramp import ScramClient

from protocol import derive
from protocol.codec import DECODERS, HEADER, encode
from protocol.declare import MESSAGES
from protocol.errors import ErrorCode, RemoteProtocolError
from protocol.header import ClearHeader, HeaderError, decode_header, encode_header
from protocol.links import Link, LinkError, parse_link
from protocol.messages.messaging import Entry
from protocol.ops import Op, Role
from protocol.state import State
from tests.protocol.helpers import three_ways
from tests.vectors.make import FILES, FOLDER, load, text_of
from tests.vectors.plain import Json, bytes_from_json, record_from_json, to_json

Row = dict[str, Json]


def rows(name: str) -> list[object]:
    """The vectors of a file as test parameters, each under its name."""
    return [pytest.param(row, id=str(row.get("name", row.get("link")))) for row in load(name)]


def data_of(row: Row, key: str) -> bytes:
    value = row[key]
    assert isinstance(value, str)
    return bytes.fromhex(value)


@pytest.mark.parametrize("name", FILES)
def test_file_holds_what_the_generator_writes(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == text_of(name)


def test_every_op_has_a_vector() -> None:
    assert {row["op"] for row in load("messages.json")} == set(Op)


def test_every_protocol_error_has_a_vector_in_each_role() -> None:
    codes = {cls.code.name.lower() for cls in RemoteProtocolError.__subclasses__()}
    assert codes == {"malformed", "frame_too_large", "unknown_op", "unexpected_frame"}
    for receiver in ("client", "server"):
        found = {row["error"] for row in load("malformed.json") if row["receiver"] == receiver}
        assert found == codes


@pytest.mark.parametrize("row", rows("messages.json"))
def test_frame_and_fields_are_each_others_image(row: Row) -> None:
    data = data_of(row, "frame")
    size, op = HEADER.unpack_from(data)
    assert (size, op) == (len(data) - 4, row["op"])
    cls = MESSAGES[Op(op)]
    assert row["sender"] == cls.SENDER.name.lower()
    message = DECODERS[op](data[HEADER.size :])
    assert to_json(message) == row["fields"]
    again = record_from_json(cls, row["fields"])
    assert again == message
    if not row["decode_only"]:
        assert encode(message) == data


def as_plain(value: Json) -> object:
    """Fields as MessagePack's own values: what a client without this package would build."""
    if isinstance(value, list):
        return [as_plain(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"hex"}:
            return bytes_from_json(value)
        return [as_plain(item) for item in value.values()]
    return value


@pytest.mark.parametrize("row", rows("messages.json"))
def test_frame_is_plain_messagepack_of_its_fields_in_their_order(row: Row) -> None:
    # Nothing of protocol/ is used here: length, op, and the array in its shortest form.
    op = row["op"]
    assert isinstance(op, int)
    body = msgpack.packb(as_plain(row["fields"]))
    data = (len(body) + 1).to_bytes(4, "big") + bytes([op]) + body
    assert (data == data_of(row, "frame")) is not row["decode_only"]


@pytest.mark.parametrize("row", rows("malformed.json"))
def test_broken_bytes_give_their_error_however_they_are_split(row: Row) -> None:
    role, state = Role[str(row["receiver"]).upper()], State[str(row["state"]).upper()]
    messages, failure, end = three_ways(role, state, data_of(row, "bytes"))
    assert failure is not None
    assert failure.code is ErrorCode[str(row["error"]).upper()]
    assert (len(messages), end) == (row["messages"], State.CLOSED)


@pytest.mark.parametrize("row", rows("headers.json"))
def test_clear_header_is_read_and_written_as_given(row: Row) -> None:
    data = data_of(row, "bytes")
    if not row["valid"]:
        with pytest.raises(HeaderError):
            decode_header(data)
        return
    header = decode_header(data)
    assert to_json(header) == row["fields"]
    assert header == record_from_json(ClearHeader, row["fields"])
    assert (encode_header(header) == data) is row["shortest"]


@pytest.mark.parametrize("row", rows("links.json"))
def test_link_is_read_and_written_as_given(row: Row) -> None:
    text = str(row["link"])
    if not row["valid"]:
        with pytest.raises(LinkError):
            parse_link(text)
        return
    token = None if row["token"] is None else data_of(row, "token")
    port = row["port"]
    assert isinstance(port, int)
    key, server = data_of(row, "server_key"), data_of(row, "server_id")
    link = Link(str(row["host"]), port, key, server, token)
    assert parse_link(text) == link
    assert str(link) == text


def arguments(row: Row) -> dict[str, object]:
    """The inputs of a derived value as Python values, keys left out."""
    inputs = row["inputs"]
    assert isinstance(inputs, dict)
    plain: dict[str, object] = {}
    for name, value in inputs.items():
        if name == "entry":
            plain[name] = record_from_json(Entry, value)
        elif name not in ("private_key", "public_key"):
            plain[name] = bytes_from_json(value) if isinstance(value, dict) else value
    return plain


DERIVED = [row for row in load("derived.json") if hasattr(derive, str(row["name"]).split()[0])]


@pytest.mark.parametrize("row", DERIVED, ids=lambda row: str(row["name"]))
def test_derived_value_is_computed_from_its_inputs(row: Row) -> None:
    result = getattr(derive, str(row["name"]).split()[0])(**arguments(row))
    assert result == data_of(row, "result" if "result" in row else "text")


def test_every_error_has_a_vector() -> None:
    told = [row["fields"] for row in load("messages.json") if str(row["name"]).startswith("ERROR ")]
    codes = {fields["code"] for fields in told if isinstance(fields, dict)}
    assert {int(code) for code in ErrorCode} <= codes


@pytest.mark.parametrize("name", ["direct_id", "chain_next", "chain_entry", "login_text",
                                  "welcome_text", "password_salt"])  # fmt: skip
def test_every_derived_value_has_a_vector(name: str) -> None:
    assert any(str(row["name"]).startswith(name) for row in load("derived.json"))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_scram_exchange_is_the_one_that_scramp_speaks(mechanism: str) -> None:
    (row,) = [row for row in load("derived.json") if row["name"] == mechanism]
    inputs = row["inputs"]
    assert isinstance(inputs, dict)
    binding = ("tls-server-end-point", bytes_from_json(inputs["certificate_hash"]))
    client = ScramClient(
        [mechanism],
        inputs["user"],
        inputs["secret"],
        channel_binding=binding if mechanism.endswith("PLUS") else None,
        c_nonce="client+nonce",
    )
    assert client.get_client_first() == row["client_first"]
    client.set_server_first(row["server_first"])
    assert client.get_client_final() == row["client_final"]
    client.set_server_final(row["server_final"])
