"""A client of Azure's Serial Console, for ttylab's own service and for the real one."""
