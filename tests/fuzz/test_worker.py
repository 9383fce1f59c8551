"""Fuzzers of both sides of the worker's protocol: changed requests, and changed answers."""

import json
import os
import sys

import pytest
from fuzzing import mangled, seeds, sentence_of
from pythons import script
from waiting import HANG_SECONDS

from ssdiff_core.worker.client.engine import Callbacks, Worker
from ssdiff_core.worker.shared_memory import PROTOCOL

REQUESTS = (
    {"ask": "classical", "method": "brovey", "ratio": 4.0},
    {"ask": "fuse", "engine": 1, "block": {"window": [0, 0, 8, 8]}},
    {"ask": "close", "engine": 1},
    {"ask": "open", "weights": "w.safetensors", "sampling": {"is a": "SamplingOptions", "steps": 1}},
    {"ask": "stats", "scene": {"is a": "Scene"}, "survey": {}, "memory": 64},
)
ANSWERS = (
    {"type": "notice", "kind": "weights_download", "values": {"weights": "x", "size": "1 MB"}},
    {"type": "progress", "share": 0.5},
    {"type": "read", "request": {"scene": 0}},
    {"type": "alive"},
    {"type": "error", "kind": "WeightsError", "sentence": "it is damaged"},
    {"type": "done", "protocol": PROTOCOL, "ssdiff": "1", "devices": {}},
)


def test_changed_requests_leave_the_process_running_or_end_it_in_order():
    with Worker(sys.executable) as worker:
        for seed in seeds(60):
            process = worker.running_process(Callbacks())
            request = mangled(json.dumps(REQUESTS[seed % len(REQUESTS)]).encode(), seed).replace(b"\n", b"")
            process.popen.stdin.write(request + b"\n" + b'{"ask": "hello"}\n')
            while True:
                line = process.lines.get(timeout=HANG_SECONDS)
                assert line, f"seed {seed}: {process.log}"
                message = json.loads(line)
                if message["type"] == "error":
                    assert "\n" not in message["sentence"], f"seed {seed}"
                if "protocol" in message or message["type"] == "bye":
                    break
            if message["type"] == "bye":
                worker.close()


@pytest.mark.skipif(os.name == "nt", reason="scripts as interpreters")
def test_changed_answers_are_one_sentence(tmp_path):
    lines = tmp_path / "lines"
    python = script(tmp_path / "python", f"#!/bin/sh\ncat {lines}\n")
    read = Callbacks(read=lambda memory, request: {}, notify=lambda notice: None)
    for seed in seeds(40):
        answers = [*ANSWERS[: seed % len(ANSWERS)], ANSWERS[-1]]
        lines.write_bytes(mangled(b"".join(json.dumps(answer).encode() + b"\n" for answer in answers), seed))
        with Worker(python, patience=1, start=1) as worker:
            assert "\n" not in sentence_of(lambda: worker.hello(read)), f"seed {seed}"
