#!/usr/bin/env bash
# Put the student edition of the last build on the branch `notebooks` of a repository: tools/publish.sh REMOTE
set -euo pipefail
remote=${1:?usage: tools/publish.sh REMOTE}
cd "$(dirname "$0")/.."
edition=_build/html/_sources/chapters
ls $edition/*.ipynb >/dev/null || { echo "$edition: no notebooks, wanted the student edition; make book makes it" >&2; exit 1; }
commit=$(git rev-parse HEAD)
[ ! -d "$remote" ] || remote=$(realpath "$remote")
unset "${!GIT_@}"  # those of a hook would lead back to this repository
branch=$(mktemp -d)
trap 'rm -rf "$branch"' EXIT
cp $edition/*.ipynb requirements.txt constraints.txt LICENSE "$branch"
cp -r .binder "$branch"
cat > "$branch/README.md" <<END
# Learned Image Reconstruction: the notebooks

One file per chapter; each runs by itself, in JupyterLab, VS Code, Colab and Kaggle. Made from commit $commit; changes made here are overwritten.
END
cd "$branch"
git init -q -b notebooks
git add .
git -c user.name="the book" -c user.email="book@localhost" commit -q -m "The student edition of $commit"
git push -q --force "$remote" notebooks
