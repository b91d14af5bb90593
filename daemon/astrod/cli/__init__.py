"""The command line. A verb imports what it needs when it runs: `astrod status` costs next to nothing."""
