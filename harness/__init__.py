"""What a tester holds: sessions, stimuli, scenarios, matrices, verdicts and reports."""
