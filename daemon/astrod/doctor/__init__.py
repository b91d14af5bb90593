"""`astrod doctor`: what is wrong with this observatory's computer, its files and its devices, and what to do."""
