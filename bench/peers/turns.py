"""Contenders that take turns: among themselves, or with Engram, which then says whose turn it is."""
import json
import os
import statistics
import sys
import time

import torch

torch.manual_seed(0)
torch.set_num_threads(int(os.environ.get("ENGRAM_NUM_THREADS") or os.cpu_count()))


def turn(work):
    """Milliseconds of one run: the mean of as many as 50 ms hold, and of one at least."""
    runs, start, spent = 0, time.perf_counter(), 0.0
    while spent < 0.05:
        work()
        runs += 1
        spent = time.perf_counter() - start
    return spent / runs * 1000


def serve(make):
    """Answers every line of stdin, the name of a contender, with the milliseconds of one turn of make(name)."""
    contenders = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in contenders:
            contenders[name] = make(name)
        print(turn(contenders[name]), flush=True)


def among(contenders, rounds=5):
    """Median milliseconds of each, after one turn to warm up."""
    times = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, work in contenders.items():
            spent = turn(work)
            if round_:
                times[name].append(spent)
    return {name: round(statistics.median(values), 2) for name, values in times.items()}


def report(rows):
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "load": os.getloadavg()[0],
                      "rows": rows}, indent=2))
