"""The parts of one running service; none of them knows the whole."""
