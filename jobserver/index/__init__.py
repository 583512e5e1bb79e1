"""The read model: what pages and API answers are made from, derived from the branches and disposable.

May import errors, domain and store; owns SQLite. A floor of its own because decisions never ask it: `plan` and `admit`
read the branch itself, so nothing that is wrong here can get into the record. Deleting the file loses nothing.
"""
