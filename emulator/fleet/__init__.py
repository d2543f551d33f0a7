"""The machines behind the platform's VMs: made on demand, one console each for all power cycles."""
