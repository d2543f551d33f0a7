"""What a scenario can be played on: a machine here, a VM behind the service, a serial port."""
