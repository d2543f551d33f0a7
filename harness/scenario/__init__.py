"""The words of a test: scenarios, steps, stimuli, stages, verdicts, errors and exit codes; values only."""
