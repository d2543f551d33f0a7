"""What kernels are made of, as bytes: kernels, modules, initial RAM disks; pure."""
