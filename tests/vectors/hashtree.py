#!/usr/bin/python3
"""Writes hashtree.txt: content roots and piece layers as libtorrent computes them.

Source of the figures: Debian's python3-libtorrent (2.0.8), an independent implementation of
BEP 52. The content of every file is SHA-256 of the numbers 0, 1, 2 ... (8 bytes, big-endian), one
hash after the other, cut at the wanted size. Run by hand; the tests read only its output.

    tests/vectors/hashtree.py > tests/vectors/hashtree.txt
"""

import hashlib
import os
import tempfile

import libtorrent

KIB = 1024
MIB = 1024 * KIB
SIZES = [
    1, 2, 16383, 16384, 16385, 32768, 32769, 49152, 81920, 500000, MIB - 16384, MIB - 1, MIB,
    MIB + 1, MIB + 16384, 2 * MIB, 2 * MIB + 1, 3 * MIB - 1, 4 * MIB, 5 * MIB + 12345, 7 * MIB,
    16 * MIB, 17 * MIB + 1,
]


def content(size):
    parts = (hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range((size + 31) // 32))
    return b"".join(parts)[:size]


def root_and_layer(size, folder):
    name = f"file{size}"
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content(size))
    storage = libtorrent.file_storage()
    storage.add_file(name, size)
    torrent = libtorrent.create_torrent(storage, MIB, libtorrent.create_torrent.v2_only)
    libtorrent.set_piece_hashes(torrent, folder)
    entry = torrent.generate()
    root = entry[b"info"][b"file tree"][name.encode()][b""][b"pieces root"]
    layer = entry[b"piece layers"].get(root, b"")
    return root, layer


def main():
    print(f"# size, root, SHA-256 of the piece layer (- for one piece); libtorrent {libtorrent.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            root, layer = root_and_layer(size, folder)
            digest = hashlib.sha256(layer).hexdigest() if layer else "-"
            print(size, root.hex(), digest)


main()
