"""What a server does by itself.

archive      moves what a push finished, and writes checkpoints
maintenance  has the repository repacked, hourly and when packs become many
"""
