"""What `voxtune doctor` finds on this machine, and the bundle for bug reports."""
