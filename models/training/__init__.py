"""How astrod's models were made: scripts that anyone can run again (`make models`), never needed at run
time.
"""
