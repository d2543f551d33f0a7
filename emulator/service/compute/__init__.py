"""What requests do to VMs, scale sets and their boot diagnostics."""
