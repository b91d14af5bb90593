"""The hardware: devices and their sessions, moving, exposing, focusing, cooling, roof and safety.

`port` is one device as the daemon sees it; `telescope` is a rig of them; each activity has a file of its own;
`safety` decides alone, in a process of its own, whether the site may be open.
"""
