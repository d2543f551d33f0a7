"""What ttylab's exit codes mean; programs rely on them."""

EXIT_PASSED = 0
EXIT_FAILED = 1  # a guest failed
EXIT_USAGE = 2  # the caller's input is wrong
EXIT_BROKEN = 3  # the lab failed, or lacks something it needs
EXIT_REFUSED = 4  # a cloud service said no; its reason is on stderr
EXIT_INTERRUPTED = 130  # ended by Ctrl-C, as in shells
