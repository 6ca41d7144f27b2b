"""`python -m egops`."""

from egops.cli import main

main()
