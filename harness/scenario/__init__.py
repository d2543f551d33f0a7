"""What a test is made of: scenarios, steps, stimuli, stages, verdicts, errors, exit codes; values only."""
