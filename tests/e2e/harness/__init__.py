"""What the stories are written with: faults, waiting, running egops, the table at the end."""
