"""Media of a known size, as small as they can be."""

import base64
import io
import struct
import wave
import zlib

from pypdf import PdfWriter


def png(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def wav(seconds, rate=8):
    content = io.BytesIO()
    with wave.open(content, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(rate)
        sound.writeframes(bytes(seconds * rate))
    return content.getvalue()


def mp3(seconds):
    """Frames of 26 ms: MPEG 1, layer 3, 128 kbit/s at 44.1 kHz."""
    return (bytes.fromhex("fffb9064") + bytes(413)) * int(seconds * 44_100 / 1_152)


def mp4(seconds):
    """A movie without sound."""
    header = b"mvhd" + bytes(12) + struct.pack(">II", 1_000, int(seconds * 1_000)) + bytes(80)
    movie = b"moov" + struct.pack(">I", len(header) + 4) + header
    return struct.pack(">I", 16) + b"ftypisom" + bytes(4) + struct.pack(">I", len(movie) + 4) + movie


def pdf(pages):
    writer, content = PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(612, 792)
    writer.write(content)
    return content.getvalue()


def part(kind, content, **fields):
    """A part as lm15 serialises it."""
    mime = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}[kind]
    return {"type": kind, "media_type": mime, "data": base64.b64encode(content).decode(), **fields}
