"""The owner's configuration: TOML in, the domain's words out, every fault at once.

`load` reads; `schema` is the only module that knows pydantic; `roots` and `settings` are cheap to import.
"""
