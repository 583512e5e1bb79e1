"""The settings of a server, from the environment and `.env`. docs/contract.md, section 3 lists them.

settings  the settings themselves, each with its default
checks    what the value of a setting must be

May import everything below the wiring: a setting is checked by the package that uses it.
"""
