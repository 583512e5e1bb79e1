"""The command line: parse, call, print.

main        runs a command, and turns errors into exit codes
admin       init, backend
jobs        request, rerun, cancel, mark-failed, status, check
forecasts   why requests wait, for `status`
audit       audit log, verify, witness, checkpoint
keys        key list, export, rotate, revoke
operate     health, index, maintain, backup, sendtestemail
remote      remote status, adopt
imports     import
serve       the server
service_manager  what systemd asks of it
run         the runner
hook        git's pre-receive hook
login_link  login links
calls/      watch, log: they call a server by HTTP
demo/       everything in one folder
notify/     outbox, webhook
push/       judge-push, which the hook starts while no server runs
manage/     user, workspace, org, project, release
terminal/   text, tables, errors and progress bars

May import everything. Nothing imports it.
"""
