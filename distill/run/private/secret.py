"""The secret of a private run, and what follows from it: which documents each step reads, and the noise it adds.

Whoever has the secret can take the noise out again, so it is kept in the checkpoints of the run only. A step that is
repeated after a crash reads the same documents and adds the same noise: it is the same release, and costs nothing anew.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from distill.data.pieces import Documents

SECRET_BYTES = 32
KEY_BYTES = 16  # of a Philox generator


def new_secret() -> str:
    """A secret from the system's source of randomness, as hexadecimal digits."""
    return secrets.token_hex(SECRET_BYTES)


def random_numbers(secret: str, purpose: str, step: int) -> np.random.Generator:
    """The random numbers of a step for one purpose: a Philox generator whose 128-bit key is a keyed hash.

    torch's own generator would not do: on a CPU it uses 32 bits of its seed, few enough to try them all.
    """
    name = f"{purpose}:{step}".encode()
    key = hashlib.blake2b(name, key=bytes.fromhex(secret), digest_size=KEY_BYTES).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))


def drawn_blocks(secret: str, step: int, documents: Documents, sample_rate: float) -> list[int]:
    """The blocks of the step after `step`: each document is in it with probability `sample_rate`, with one block.

    Whether a document is drawn, and with which block, depends on no other document. The list may be empty.
    """
    draws, places = random_numbers(secret, "batch", step).random((documents.num_documents, 2)).T
    drawn = np.flatnonzero(draws < sample_rate)
    return [int(block) for block in documents.pieces_at(drawn, places[drawn])]


def private_indices(
    secret: str, start_step: int, documents: Documents, sample_rate: float, share: slice = slice(None)
) -> Iterator[list[int]]:
    """One process's share of the blocks of every step after `start_step`: a list for each step, without end."""
    step = start_step
    while True:
        yield drawn_blocks(secret, step, documents, sample_rate)[share]
        step += 1


def gaussian_noise(secret: str, step: int, num_values: int) -> npt.NDArray[np.float32]:
    """The standard Gaussian noise of the step after `step`."""
    return random_numbers(secret, "noise", step).standard_normal(num_values, dtype=np.float32)
