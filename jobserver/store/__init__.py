"""The state repository. The only owner of git, YAML and file watching, and the only place that decides durability.

repo           the repository as a whole: create, open, maintain
read/          a branch as decisions see it, and other people's commits
write/         the one writer
git/           git: objects, packs, refs, and the one place that starts git
yaml/          documents as YAML
keys/          the keys that sign
release_files  released files on the disk, outside the repository
release_record their record in that folder, release.json
checked_files  the bytes of checked releases, beside those
incoming       folders that are locked while a process fills them
upstream       what the writer needs from a hosted repository
hooks          git's hooks in the repository
init           where a repository may be created
watch          notices refs that other processes moved
fs             durable files
proxies        proxies from the environment

May import errors and domain.
"""
