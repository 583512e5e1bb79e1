"""Who people and backends are, and whether what they show still counts.

admins         ADMIN_USERS become SuperUsers at each start
tokens         a token's digest, looked up in main as it is now
one_time       three words that log a person in to Airlock once; words.txt has the words
github         who somebody is, by GitHub's login
oidc           who somebody is, by OpenID Connect
membership     whether they are still in the organisation
preferences    saved views and pinned workspaces
private_store  how to reach people, and what is live but outlives a process: never in git
"""
