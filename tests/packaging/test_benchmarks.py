"""`ttylab bench` finds its benchmarks; they are measured by hand."""

from tests.bench.benchmarks import BENCHMARKS


def test_benchmarks_load():
    assert "default-matrix" in BENCHMARKS
