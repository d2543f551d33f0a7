"""What requests to Resource Manager do to VMs and scale sets."""
