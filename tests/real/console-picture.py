"""Makes a picture of a page smaller: a PNG on standard input, the same with a palette of 256 colours on standard output."""

import struct
import sys
import zlib
from collections import Counter

data = sys.stdin.buffer.read()
chunks, at = [], 8
while at < len(data):
    length, kind = struct.unpack_from(">I4s", data, at)
    chunks.append((kind, data[at + 8 : at + 8 + length]))
    at += 12 + length

width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
assert depth == 8 and colour in (2, 6) and not interlaced, "a picture as Chromium makes it"
size = 3 if colour == 2 else 4
packed = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))

# https://www.w3.org/TR/png-3/#9Filters
rows, above, stride = [], bytearray(width * size), width * size
for y in range(height):
    start = y * (stride + 1)
    kind, row = packed[start], bytearray(packed[start + 1 : start + 1 + stride])
    for x in range(stride) if kind else ():
        left = row[x - size] if x >= size else 0
        up, corner = above[x], above[x - size] if x >= size else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda one: abs(near - one))
        row[x] = (row[x] + guess) & 255
    rows.append([tuple(row[x : x + 3]) for x in range(0, stride, size)])
    above = row

palette = [pixel for pixel, _ in Counter(pixel for row in rows for pixel in row).most_common(256)]
known = {pixel: number for number, pixel in enumerate(palette)}


def nearest(pixel):
    if pixel not in known:
        distances = [sum((a - b) ** 2 for a, b in zip(pixel, other)) for other in palette]
        known[pixel] = distances.index(min(distances))
    return known[pixel]


lines = b"".join(b"\0" + bytes(nearest(pixel) for pixel in row) for row in rows)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
sys.stdout.buffer.write(
    data[:8]
    + chunk(b"IHDR", header)
    + chunk(b"PLTE", b"".join(bytes(pixel) for pixel in palette))
    + chunk(b"IDAT", zlib.compress(lines, 9))
    + chunk(b"IEND", b"")
)
