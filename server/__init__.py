"""Everything that brings a lab up on a machine and looks after it. A student's package does not have it."""
