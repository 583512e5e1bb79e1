#!/bin/sh
# What the evaluation of compose.yaml begins with: a state repository, a backend with a token, a person, a study.
# Running it again changes nothing.
set -eu
jobserver init
if [ ! -s /shared/token ]; then
    study=/shared/studies/hospital-admissions
    if [ ! -d "$study" ]; then
        mkdir -p "$study.new"
        cp -R "$(python3 -c 'import jobserver.cli.demo; print(jobserver.cli.demo.__path__[0])')/study/." "$study.new"
        git -C "$study.new" init --quiet --initial-branch=main
        git -C "$study.new" add --all
        git -C "$study.new" -c user.name=Ada -c user.email=ada@example.org commit --quiet --message="Admissions by week"
        mv "$study.new" "$study"
    fi
    jobserver workspace add admissions --repo hospital-admissions --branch main || true
    jobserver backend add demo > /shared/token.new
    mv /shared/token.new /shared/token
fi
echo "Log in as admin:"
jobserver user login-link admin
