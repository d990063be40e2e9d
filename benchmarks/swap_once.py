"""Run the streamed swap once, measure it from inside, and print one line of JSON. `augmenter_speed` starts this.

python -m benchmarks.swap_once SOURCE TARGET NUM_WORKERS
"""

import json
import resource
import sys
from pathlib import Path

from augment import load_lexicon
from augment.files.rows import RowOptions
from augment.files.stream import swap_file


def main() -> None:
    """Swap the file, then print speed, CPU time and peak memory."""
    source, target, num_workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    report = swap_file(source, target, RowOptions(load_lexicon()), num_workers)
    # VmHWM is the peak of this program alone; getrusage would include the process that started it
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    parent, children = cpu_seconds(resource.RUSAGE_SELF), cpu_seconds(resource.RUSAGE_CHILDREN)
    figures = {
        "words_per_second": round(report.words_per_second),
        "parent_cpu_seconds": round(parent, 2),
        "cpu_seconds": round(parent + children, 2),
        "peak_mib": round(int(status["VmHWM"].split()[0]) / 1024, 1),
    }
    print(json.dumps(figures))


def cpu_seconds(who: int) -> float:
    """The user and system time of this process, or of its ended children."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
