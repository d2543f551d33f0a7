"""Benchmarks, run by hand with `ttylab bench`, in no CI gate; each has a baseline from the same run."""
