"""How fast a core prepares a stream of blocks (`data.streaming`), and whether memory stays flat.

    python -m benchmarks.stream_speed CORPUS --tokenizer T [--tokens 5e6] [--seq-len 1024] [--needed TOKENS_PER_SECOND]

Takes the blocks of a stream one after another and prints JSON. Times are CPU times, so that other programs on the
machine do not count. `alone`: one process reads, swaps, tokenises, aligns and packs. `feeding`: what is left to the
process of the run when a pool (data.num_proc 2) does all but reading and packing. private_mb: private memory (RssAnon)
of all these processes at the end of each quarter of the tokens. needed: the tokens (of the original text) that a GPU
trains on in a second; from it follows how many cores it wants. Linux only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import time
from contextlib import closing
from itertools import islice
from typing import Any

from augment.lexicon import load_lexicon
from benchmarks.stream import private_mb
from distill.config import DataConfig
from distill.data.pairing import pairing_settings
from distill.data.stream import BlockStream
from distill.models.loading import load_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--separator", help="as data.separator")
    parser.add_argument("--tokens", type=float, default=5e6)
    parser.add_argument("--seq-len", type=int, default=1024)
    parser.add_argument("--needed", type=float)
    options = parser.parse_args()
    data = DataConfig(
        path=options.corpus, streaming=True, seq_len=options.seq_len, num_proc=1, separator=options.separator
    )
    pairing = pairing_settings(data, load_lexicon(), load_tokenizer(options.tokenizer))
    result = {
        name: measure(dataclasses.replace(data, num_proc=num_proc), pairing, round(options.tokens))
        for name, num_proc in (("alone", 1), ("feeding", 2))
    }
    if options.needed is not None:
        result["cores_needed"] = math.ceil(options.needed / result["alone"]["tokens_per_cpu_second"])
    print(json.dumps(result))


def measure(data: DataConfig, pairing: dict[str, Any], num_tokens: int) -> dict[str, Any]:
    """Rows and tokens that this process gives per second of its own CPU time, and the memory with that of its pool."""
    num_rows = 0

    def count_row(_: str) -> bool:
        nonlocal num_rows
        num_rows += 1
        return False

    stream = BlockStream(
        data=data, pairing=pairing, is_substituted=count_row, seed=0, rank=0, num_processes=1, blocks_per_step=1
    )
    window, num_windows = stream.blocks_per_window, math.ceil(num_tokens / data.seq_len / stream.blocks_per_window)
    num_taken, private = 0, list[float]()
    with closing(stream.blocks(0)) as blocks:
        next(blocks)  # the first window has been prepared: imports, caches, the pool's start
        num_rows, started = 0, time.process_time()
        for number in range(1, num_windows + 1):
            num_taken += sum(len(block.input_ids) for block in islice(blocks, window))  # prepares the next one
            stream.state_dict(number * window)  # as at a checkpoint
            while number * 4 >= num_windows * (len(private) + 1):
                private.append(private_mb(os.getpgrp()))
        seconds = time.process_time() - started
    return {
        "rows": num_rows,
        "tokens": num_taken,
        "rows_per_cpu_second": round(num_rows / seconds, 1),
        "tokens_per_cpu_second": round(num_taken / seconds),
        "private_mb": private,
    }


if __name__ == "__main__":
    main()
