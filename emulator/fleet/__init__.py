"""The machines behind the platform's VMs: made on demand, each with one console across all power cycles."""
