"""What unattended observatories die of: one test for each row of the list of lost nights."""
