"""What minimises the reduced objective, and when it stops."""
