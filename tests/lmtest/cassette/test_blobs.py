"""Media beside a cassette."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmtest.cassette import blobs
from lmtest.errors import CassetteTampered

PNG = b"\x89PNG\r\n\x1a\n and more"
NAME = f"{hashlib.sha256(PNG).hexdigest()}.png"


def as_is(data, _media_type):
    return data


def part(content=PNG, **fields):
    return {"type": "image", "media_type": "image/png", "data": base64.b64encode(content).decode(), **fields}


MEDIA = st.builds(
    lambda kind, media_type, data: {"type": kind, "media_type": media_type, "data": data},
    st.sampled_from(["image", "audio", "video", "document", "binary"]),
    st.sampled_from(["image/png", "audio/mpeg", "application/vnd.ms-excel", "x", "text/plain; charset=utf-8", "a/b64"]),
    st.binary().map(lambda data: base64.b64encode(data).decode())
    | st.text("ABCabc012+/=", max_size=9)
    | st.binary().map(lambda data: f"data:image/png;base64,{base64.b64encode(data).decode()}")
    | st.text(max_size=9),
)
VALUES = st.recursive(
    st.none() | st.text(max_size=5) | MEDIA,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "type", "x"]), inner),
    max_leaves=6,
)


@given(VALUES)
def test_what_is_detached_can_be_attached_again(tmp_path_factory, value):
    directory = tmp_path_factory.mktemp("blobs")
    detached, found = blobs.detach(value, as_is)
    blobs.write(directory, found)

    assert set(blobs.references(detached)) == set(found)
    assert blobs.attach(detached, directory) == value


def test_a_blob_is_named_by_its_content_and_type():
    detached, found = blobs.detach(part(), as_is)

    assert detached == {"type": "image", "media_type": "image/png", "data": f"blob:{NAME}"}
    assert found == {NAME: PNG}


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [
        ("image/jpeg", "jpg"),
        ("audio/x-wav", "wav"),
        ("application/pdf", "pdf"),
        ("text/plain; charset=utf-8", "txt"),
        ("image/svg+xml", "svg"),
        ("application/octet-stream", "bin"),
        ("nonsense", "bin"),
        ("../../etc/passwd", "bin"),
    ],
)
def test_the_extension_is_the_same_on_every_machine(media_type, extension):
    _, found = blobs.detach(part(media_type=media_type), as_is)

    assert [name.rpartition(".")[2] for name in found] == [extension]


@pytest.mark.parametrize(
    "holder",
    [
        {"type": "tool_result", "content": [part()]},
        {"type": "delta", "delta": {"type": "audio", "data": base64.b64encode(PNG).decode(), "part_index": 0}},
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}},
        {"source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}},
    ],
)
def test_media_is_found_wherever_a_provider_puts_it(holder):
    _, found = blobs.detach(holder, as_is)

    assert list(found.values()) == [PNG]


@pytest.mark.parametrize(
    "value",
    [{"data": "aGk="}, {"type": "continuation", "data": {"a": 1}}, {"media_type": "image/png", "data": "not base64!"}],
)
def test_what_is_no_media_stays_where_it_is(value):
    assert blobs.detach(value, as_is) == (value, {})


def test_a_piece_of_base64_is_kept_as_it_is_spelled():
    detached, found = blobs.detach({"type": "audio", "data": "abc"}, as_is)

    assert list(found.values()) == [b"abc"]
    assert detached["data"].endswith(".b64")


def test_a_missing_blob_is_named_with_how_to_mend_it(tmp_path):
    with pytest.raises(CassetteTampered) as caught:
        blobs.attach({"data": f"blob:{NAME}"}, tmp_path)

    assert str(caught.value).startswith(
        f"{tmp_path / 'blobs' / NAME}: this blob is missing (No such file or directory)"
    )
    assert "Restore it from version control" in str(caught.value)


def test_an_altered_blob_is_named_with_how_to_mend_it(tmp_path):
    blobs.write(tmp_path, {NAME: PNG})
    (tmp_path / "blobs" / NAME).write_bytes(PNG.replace(b"\r\n", b"\n"))

    with pytest.raises(CassetteTampered, match=r"this blob was altered.*git may have changed its line ends"):
        blobs.read(tmp_path, NAME)


def test_writing_mends_an_altered_blob_and_leaves_a_good_one_alone(tmp_path):
    other = f"{hashlib.sha256(b'x').hexdigest()}.bin"
    blobs.write(tmp_path, {NAME: PNG, other: b"x"})
    (tmp_path / "blobs" / NAME).write_bytes(b"altered")
    before = (tmp_path / "blobs" / other).stat()

    blobs.write(tmp_path, {NAME: PNG, other: b"x"})

    assert blobs.read(tmp_path, NAME) == PNG
    assert (tmp_path / "blobs" / other).stat().st_ino == before.st_ino


@pytest.mark.parametrize("name", ["../../etc/passwd", "blob:../x.png", f"{'0' * 64}./../x", f"{'0' * 63}.png"])
def test_a_reference_never_leads_out_of_its_directory(tmp_path, name):
    value = {"data": f"blob:{name}"}

    assert blobs.attach(value, tmp_path) is value
